"""The contract of a worker engine: the plugin that connects this worker to a workflow backend.

An entry point in the group ``landlord.worker_engines`` leads to an `EngineFactory`. The group is
the contract's major version 1; the next would be ``landlord.worker_engines.v2``. Within a major
only additions are made: new optional methods and new fields of context objects have defaults.
"""

import abc
from collections.abc import AsyncGenerator, Awaitable, Callable, Mapping
from enum import StrEnum
from typing import Any

import attrs

from landlord_engines_core.engine.local_backend import StartLocalBackend
from landlord_engines_core.engine.moving import MoveReport
from landlord_engines_core.engine.registration import Registration
from landlord_engines_core.engine.tenants import TenantStatus
from landlord_engines_core.errors import CapabilityNotSupported
from landlord_engines_core.logs import Logger
from landlord_engines_core.models import CompletedJob, ExecutionStatus, Resynced
from landlord_engines_core.steps import Steps
from landlord_engines_core.tenants.order import IsDesired

__all__ = [
    "Capability",
    "EngineContext",
    "EngineFactory",
    "EngineInfo",
    "HostInfo",
    "ResyncTenant",
    "RunJob",
    "Support",
    "WorkerEngine",
]

RunJob = Callable[[bytes, Steps], Awaitable[ExecutionStatus]]
"""Function that carries out one job, given its raw body and the backend's steps.

It has three results:

- **It returns.** The job has ended, also a superseded one. The result is the answer for a backend that keeps
  answers.
- **It raises InvalidJob.** The job has ended, with the error's ``status`` and text for its sender.
- **It raises Held or Transient.** The job has not ended. The engine calls again with the same body and the
  same execution id, after ``retry_after`` seconds. If that is ``None``, the pause grows from 0.5 s to 30 s.
  There is no last attempt.

No other error leaves it, except one that the engine's own steps raised. Any such error is a failed attempt.

Cancelling its task stops the attempt. The task ends after its request or switch, at most
``host.longest_carry`` seconds later. No cancellation ends a job: only the backend can, by a kill or for a
younger job. A job that is cancelled for any other reason gets another attempt.

The engine never runs two attempts of a job at once. It gives the tenant's lock to the next job when the
task of the last one has ended. A backend that cannot wait for that after a kill, as Restate, relies on
``read_record``, which then raises.
"""

ResyncTenant = Callable[[CompletedJob, Steps], Awaitable[Resynced]]
"""Function that compares a tenant's resource with Landlord's document, and repairs a difference.

A resync is a separate execution, with separate steps:

- ``acquire`` and ``read_record`` raise Superseded unless the given job is still the last one that had
  the tenant's lock.
- ``read_record`` raises StillRunning while that job runs. A job that the backend shows as ended has
  ended, even if its end is not in the record.
- ``acquire`` writes the start's placement into the record, but no start.
- ``complete`` writes a transition that has no start.

If the answer has a follow-up, the engine calls the function again, with the follow-up's job and
after its pause. The function raises Transient (try again). Cancelling its task stops the resync. If no job
preempted it, for example in a drain, another worker repeats it.
"""


class Support(StrEnum):
    """Degree to which an engine supports a capability."""

    FULL = "full"
    PLANNED = "planned"
    UNSUPPORTED = "unsupported"


class Capability(StrEnum):
    """An ability of an engine. `TENANT_LOCK` is required, the others are optional."""

    TENANT_LOCK = "tenant-lock"
    """One job runs at a time for each tenant, and the job dispatched last wins."""
    JOURNAL = "journal"
    """The backend remembers the value of a finished step.

    The conformance kit tests it: a later attempt does not run a finished step again, and gets its value.
    """
    RESYNC = "resync"
    """The engine calls ``resync`` some time after each job, also a killed one. Any job preempts it."""
    DRY_RUN = "dry-run-registration"
    WATCH = "watch-registration"
    MAKE_LATEST = "make-latest"
    MOVE = "move"
    """Executions that an old version of the worker began can be moved to the latest."""
    RECORDS = "records"
    """The records of all tenants can be read, with the jobs that have not ended."""
    RETRY = "retry"
    """A job that waits for its next attempt can be tried at once."""


@attrs.frozen(kw_only=True)
class EngineInfo:
    """Description of a worker engine.

    Attributes:
        name: The name of its entry point.
        contract: The major version of the contract that it implements. Write a number: `CONTRACT` is
            the installed core's version.
        capabilities: Its abilities; a missing one counts as unsupported.
    """

    name: str
    contract: int
    capabilities: Mapping[Capability, Support] = attrs.field(factory=dict)

    def supports(self, capability: Capability) -> bool:
        """Whether the engine supports a capability in full."""
        return self.capabilities.get(capability) is Support.FULL

    def require(self, capability: Capability) -> None:
        """Refuse a call that needs a capability.

        Raises:
            CapabilityNotSupported: The engine does not declare it in full.
        """
        if not self.supports(capability):
            raise _unsupported(f"worker engine {self.name!r}", capability)


@attrs.frozen(kw_only=True)
class HostInfo:
    """Limits of the host that an engine has to know. All times are seconds.

    Attributes:
        step_timeout: How long a step may run. Core enforces it, and cancels and repeats the step. A
            backend's own deadline of an attempt has to be longer: a step may wait as long for a
            slot, and then continue for ``longest_carry``.
        longest_carry: How long a step may continue after its cancellation, for a request to end.
        history_retention: How long the record of a deleted tenant is kept. Afterwards the engine may
            forget the tenant: its transitions, and which job had the lock last. It forgets no tenant
            with a placement, a job that has not ended, or a resync that is due.
        resync_after: How long after a job acquired the lock its tenant is resynced; 0 for never.
        drain_timeout: How long a drain may take.
        max_connections: How many connections the engine may have open at once. The process
            needs the remaining descriptors for other files.
    """

    step_timeout: float = 300.0
    longest_carry: float = 0.0
    history_retention: float = 30 * 86400.0
    resync_after: float = 0.0
    drain_timeout: float = 30.0
    max_connections: int = 1000


@attrs.frozen(kw_only=True)
class EngineContext:
    """Everything that the host hands to an engine.

    Attributes:
        settings: An instance of the factory's ``settings_type``.
        run_job: Carries out one job.
        resync: Resyncs a tenant, for an engine that can delay a call.
        is_desired: Asks Landlord whether it desires a resource for a tenant, for `is_superseded`.
        logger: The engine's logger.
        host: Limits of the host.
    """

    settings: Any
    run_job: RunJob
    resync: ResyncTenant
    is_desired: IsDesired
    logger: Logger
    host: HostInfo


class WorkerEngine(abc.ABC):
    """Connection of the worker to one workflow backend.

    An engine translates transport and durability, and nothing else. It hands each body unchanged to
    ``run_job``, gives every tenant its lock, and maps the errors of ``run_job`` to its backend. The
    host calls an optional method only if the factory's ``info`` declares its capability in full.
    """

    @abc.abstractmethod
    async def serve(self, started: Callable[[], None]) -> None:
        """Listen, and run until `shutdown`.

        Args:
            started: Call it once, as soon as the backend could reach the worker.

        Raises:
            EngineFailed: The engine cannot listen, or stopped.
            EngineRefused: The engine declines to serve at all.
        """

    @abc.abstractmethod
    async def register(self) -> Registration:
        """Announce the worker to its backend; a second call changes nothing.

        The host calls it again if the registration is lost or outdated. The engine must then
        leave alone a version that registered later.

        Raises:
            RegistrationFailed: Another attempt may succeed.
            RegistrationRefused: Another attempt will not help.
        """

    @abc.abstractmethod
    async def shutdown(self, grace: float) -> None:
        """Accept no new attempt, and let running steps finish within ``grace`` seconds.

        It returns when nothing runs any more. The host may call it again, and before `serve`.
        """

    def check(self) -> None:  # noqa: B027  # optional: most engines decline nothing
        """Check, without any connection, whether `serve` would decline.

        Raises:
            EngineRefused: `serve` would decline.
        """

    async def dry_run_registration(self) -> Registration:
        """Say what `register` would do. Changes nothing, runs no job and needs no `serve`."""
        raise _unsupported("this worker engine", Capability.DRY_RUN)

    async def watch_registration(self) -> Registration:
        """Ask the backend once for this worker's registration."""
        raise _unsupported("this worker engine", Capability.WATCH)

    async def make_latest(self) -> Registration:
        """Make the backend send new jobs to this worker, whatever else is registered."""
        raise _unsupported("this worker engine", Capability.MAKE_LATEST)

    async def move(self, old: str, *, dry_run: bool) -> MoveReport:
        """Move the executions that the version at the URL ``old`` began to the latest version.

        An execution that runs there at this moment is left alone. The call needs no `serve`. It may
        be repeated at any time, also after an interrupted move.

        Args:
            old: The URL at which the backend reaches the old version.
            dry_run: Whether to only say what would be done.

        Raises:
            SettingsError: The backend knows no such version, or sends new jobs to it.
            EngineError: The backend gives no usable answer.
        """
        _ = old, dry_run
        raise _unsupported("this worker engine", Capability.MOVE)

    def list_tenants(self) -> AsyncGenerator[TenantStatus, None]:
        """List each tenant with a record or an open job once, in the order of their keys.

        A record may lack all but the last ended transition. The memory that the list takes does not
        depend on the number of tenants without an open job. The call needs no `serve`.

        Raises:
            EngineError: The backend gives no usable answer.
        """
        raise _unsupported("this worker engine", Capability.RECORDS)

    async def read_tenant(self, tenant: str) -> TenantStatus:
        """Read a tenant with its whole record, which is empty if the backend has none.

        Raises:
            EngineError: The backend gives no usable answer.
        """
        _ = tenant
        raise _unsupported("this worker engine", Capability.RECORDS)

    async def retry_job(self, execution_id: str) -> bool:
        """Have the backend start the next attempt of a waiting job at once.

        Returns:
            Whether it will; false if the job has ended meanwhile.

        Raises:
            EngineError: The backend gives no usable answer.
        """
        _ = execution_id
        raise _unsupported("this worker engine", Capability.RETRY)


@attrs.frozen(kw_only=True)
class EngineFactory:
    """Factory of a worker engine: the target of its entry point in ``landlord.worker_engines``.

    Attributes:
        info: The engine's name, contract and capabilities. The host reads them without any settings.
        settings_type: The attrs class of the section ``workflow.<name>``. Core loads and checks it,
            and calls its method ``check()``, if any, which may raise SettingsError.
        create_engine: Creates the engine without reaching the backend. May raise SettingsError.
        local_backend: Runs a backend on this machine while it is entered; ``None`` if the engine
            has none.
        other_local_backends: Other local backends, by the names for ``landlord-host dev --backend``.
    """

    info: EngineInfo
    settings_type: type
    create_engine: Callable[[EngineContext], WorkerEngine]
    # Part of the factory and not of the engine: a local backend yields the settings from which an
    # engine is created.
    local_backend: StartLocalBackend | None = None
    other_local_backends: Mapping[str, StartLocalBackend] = attrs.field(factory=dict)


def _unsupported(engine: str, capability: Capability) -> CapabilityNotSupported:
    return CapabilityNotSupported(
        f"{engine} does not support {capability.value!r}",
        hint="`landlord-host engines --wide` lists the capabilities of each engine",
    )
