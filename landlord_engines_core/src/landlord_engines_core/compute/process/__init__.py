"""The compute engine ``process``: one local process for each tenant, which outlives the worker."""

from landlord_engines_core.compute.process.engine import ProcessCompute, create_process

__all__ = ["ProcessCompute", "create_process"]
