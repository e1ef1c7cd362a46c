"""The compute engine ``ecs``: one service on Amazon ECS for each tenant.

The engine finds a service by its name in the location's cluster. Its tags name the tenant and contain a
hash of the applied configuration. The engine needs aiobotocore, which the extra ``ecs`` installs.
"""

from landlord_engines_core.compute.contract import ComputeEngine
from landlord_engines_core.compute.ecs.settings import EcsSettings
from landlord_engines_core.compute.factory import (
    ComputeContext,
    ComputeEngineFactory,
    ComputeEngineInfo,
)
from landlord_engines_core.errors import PluginImportFailed

__all__ = ["factory"]


def _create(context: ComputeContext) -> ComputeEngine:
    try:
        from landlord_engines_core.compute.ecs import engine  # noqa: PLC0415  # aiobotocore is optional
    except ModuleNotFoundError as error:
        raise PluginImportFailed(
            f"the compute engine ecs needs {error.name}, which is not installed",
            hint="pip install 'landlord-engines-core[ecs]'",
        ) from error
    return engine.create_ecs(context)


factory = ComputeEngineFactory(
    info=ComputeEngineInfo(name="ecs", contract=1),
    settings_type=EcsSettings,
    create_engine=_create,
)
