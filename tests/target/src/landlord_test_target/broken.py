"""A sound engine, from which tests make broken ones by one change each."""

import asyncio
from collections.abc import Callable, Mapping
from typing import Any

import attrs

from landlord_engines_core.compute import ComputeEngineFactory, ComputeEngineInfo
from landlord_engines_core.compute.mock import MockCompute
from landlord_engines_core.engine import (
    Capability,
    EngineContext,
    EngineFactory,
    EngineInfo,
    Registration,
    RegistrationState,
    Support,
    WorkerEngine,
)

__all__ = ["MockCompute", "NoSettings", "Sound", "compute_factory_of", "factory_of"]

CAPABILITIES: Mapping[Capability, Support] = {
    Capability.TENANT_LOCK: Support.FULL,
    Capability.DRY_RUN: Support.FULL,
}


@attrs.frozen(kw_only=True)
class NoSettings:
    """The section of an engine that needs no settings."""


class Sound(WorkerEngine):
    """An engine that conforms, and receives no job."""

    def __init__(self, context: EngineContext) -> None:
        self.context = context
        self.end = asyncio.Event()

    async def serve(self, started: Callable[[], None]) -> None:
        started()
        await self.end.wait()

    async def register(self) -> Registration:
        return Registration(state=RegistrationState.REGISTERED)

    async def dry_run_registration(self) -> Registration:
        return Registration(state=RegistrationState.REGISTERED, detail="would be new")

    async def shutdown(self, grace: float) -> None:
        self.end.set()


def factory_of(name: str, create_engine: Any = Sound, **changes: Any) -> EngineFactory:
    """Make a factory of an engine, with changes to what it declares."""
    info = EngineInfo(name=name, contract=changes.pop("contract", 1), capabilities=CAPABILITIES)
    return EngineFactory(
        **{"info": info, "settings_type": NoSettings, "create_engine": create_engine, **changes}
    )


def compute_factory_of(name: str, create_engine: Any) -> ComputeEngineFactory:
    """Make a factory of a compute engine that needs no settings."""
    info = ComputeEngineInfo(name=name, contract=1)
    return ComputeEngineFactory(info=info, settings_type=NoSettings, create_engine=create_engine)
