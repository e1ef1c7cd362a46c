"""The compute engine ``ecs``: one service on Amazon ECS for each tenant.

The engine finds a service by its name in the location's cluster. Its tags name the tenant and contain a
hash of the applied configuration. The engine needs aiobotocore, which the extra ``ecs`` installs.
"""

from collections.abc import Mapping

from landlord_engines_core.compute.contract import ComputeEngine
from landlord_engines_core.errors import PluginImportFailed

__all__ = ["create_ecs"]


def create_ecs(settings: Mapping[str, object]) -> ComputeEngine:
    """Create the engine from the section ``compute.ecs``.

    Raises:
        ComputeRefused: The settings are not accepted.
        PluginImportFailed: aiobotocore is not installed.
    """
    try:
        from landlord_engines_core.compute.ecs import engine  # noqa: PLC0415  # aiobotocore is optional
    except ModuleNotFoundError as error:
        raise PluginImportFailed(
            f"the compute engine ecs needs {error.name}, which is not installed",
            hint="pip install 'landlord-engines-core[ecs]'",
        ) from error
    return engine.from_settings(settings)
