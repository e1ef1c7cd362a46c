"""The compute engine ``docker``: one container for each tenant, on one Docker daemon.

It needs aiodocker, which the extra ``docker`` installs.
"""

from collections.abc import Mapping

from landlord_engines_core.compute.contract import ComputeEngine
from landlord_engines_core.errors import PluginImportFailed

__all__ = ["create_docker"]


def create_docker(settings: Mapping[str, object]) -> ComputeEngine:
    """Create the engine from the section ``compute.docker``.

    Raises:
        ComputeRefused: The settings are not accepted.
        PluginImportFailed: aiodocker is not installed.
    """
    try:
        from landlord_engines_core.compute.docker import engine  # noqa: PLC0415  # aiodocker is optional
    except ModuleNotFoundError as error:
        raise PluginImportFailed(
            f"the compute engine docker needs {error.name}, which is not installed",
            hint="pip install 'landlord-engines-core[docker]'",
        ) from error
    return engine.from_settings(settings)
