"""The compute engine ``process``: one local process for each tenant, which outlives the worker."""

from landlord_engines_core.compute.factory import ComputeEngineFactory, ComputeEngineInfo
from landlord_engines_core.compute.process.engine import ProcessCompute
from landlord_engines_core.compute.process.settings import ProcessSettings

__all__ = ["ProcessCompute", "factory"]

factory = ComputeEngineFactory(
    info=ComputeEngineInfo(name="process", contract=1),
    settings_type=ProcessSettings,
    create_engine=lambda context: ProcessCompute(context=context),
)
