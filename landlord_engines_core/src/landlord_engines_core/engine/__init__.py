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
from landlord_engines_core.engine.tenants import (
    JobFailure,
    JobState,
    OpenJob,
    TenantStatus,
    read_failure,
)

__all__ = [
    "CONTRACT",
    "Capability",
    "Dispatcher",
    "EngineContext",
    "EngineFactory",
    "EngineInfo",
    "HostInfo",
    "JobFailure",
    "JobState",
    "LocalBackend",
    "MoveOutcome",
    "MoveReport",
    "MoveResult",
    "OpenJob",
    "Registration",
    "RegistrationState",
    "ResyncTenant",
    "RunJob",
    "StartLocalBackend",
    "Support",
    "TenantStatus",
    "WorkerEngine",
    "read_failure",
]
