"""The compute engine ``docker``: one container for each tenant, on one Docker daemon.

It needs aiodocker, which the extra ``docker`` installs.
"""

from landlord_engines_core.compute.contract import ComputeEngine
from landlord_engines_core.compute.docker.settings import DockerSettings
from landlord_engines_core.compute.factory import (
    ComputeContext,
    ComputeEngineFactory,
    ComputeEngineInfo,
)
from landlord_engines_core.errors import PluginImportFailed

__all__ = ["factory"]


def _create(context: ComputeContext) -> ComputeEngine:
    try:
        from landlord_engines_core.compute.docker import engine  # noqa: PLC0415  # aiodocker is optional
    except ModuleNotFoundError as error:
        raise PluginImportFailed(
            f"the compute engine docker needs {error.name}, which is not installed",
            hint="pip install 'landlord-engines-core[docker]'",
        ) from error
    return engine.DockerCompute(context=context)


factory = ComputeEngineFactory(
    info=ComputeEngineInfo(name="docker", contract=1),
    settings_type=DockerSettings,
    create_engine=_create,
)
