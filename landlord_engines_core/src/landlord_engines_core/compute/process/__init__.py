"""The compute engine ``process``: each tenant is a local process that outlives the worker."""

from landlord_engines_core.compute.process.engine import ProcessCompute, create_process

__all__ = ["ProcessCompute", "create_process"]
