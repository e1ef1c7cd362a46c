"""The contract of worker engines: the plugins that connect this worker to workflow backends."""

from landlord_engines_core.declarations import CONTRACT
from landlord_engines_core.engine.contract import (
    Capability,
    EngineContext,
    EngineFactory,
    EngineInfo,
    HostInfo,
    ResyncTenant,
    RunJob,
    Support,
    WorkerEngine,
)
from landlord_engines_core.engine.local_backend import Dispatcher, LocalBackend, StartLocalBackend
from landlord_engines_core.engine.moving import MoveOutcome, MoveReport, MoveResult
from landlord_engines_core.engine.registration import Registration, RegistrationState

__all__ = [
    "CONTRACT",
    "Capability",
    "Dispatcher",
    "EngineContext",
    "EngineFactory",
    "EngineInfo",
    "HostInfo",
    "LocalBackend",
    "MoveOutcome",
    "MoveReport",
    "MoveResult",
    "Registration",
    "RegistrationState",
    "ResyncTenant",
    "RunJob",
    "StartLocalBackend",
    "Support",
    "WorkerEngine",
]
