"""The contract of a worker engine: the plugin that connects this worker to a workflow backend.

An entry point in the group ``landlord.worker_engines`` leads to an `EngineFactory`. The group is
the contract's major version 1; the next would be ``landlord.worker_engines.v2``. Within a major
only additions are made: new optional methods have a default in `WorkerEngine`, new fields on the
context objects carry one.
"""

import abc
from collections.abc import Awaitable, Callable, Mapping
from contextlib import AbstractAsyncContextManager
from enum import StrEnum
from pathlib import Path
from typing import Any, Protocol

import attrs

from landlord_engines_core.errors import CapabilityNotSupported
from landlord_engines_core.logs import Logger
from landlord_engines_core.models import CompletedJob, ExecutionStatus, Resynced
from landlord_engines_core.steps import Steps
from landlord_engines_core.tenants.order import IsWanted

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

CONTRACT = 1
"""The major version of this contract."""

RunJob = Callable[[bytes, Steps], Awaitable[ExecutionStatus]]
"""Carries out one job: the raw body as it was sent, and the backend's steps.

Raises InvalidJob (end the job), Held or Transient (try again); cancelling its task stops it.
"""


ResyncTenant = Callable[[CompletedJob, Steps], Awaitable[Resynced]]
"""Resyncs a tenant: holds it against what Landlord says, and repairs it.

The steps are those of an execution of its own. Their ``take`` and ``look`` raise Superseded unless
the job is still the last that had the lock, and has ended; ``look`` raises StillRunning where it has
not, and takes a job that the backend shows as ended for ended, though nobody wrote that down.
``take`` writes the note's location into the record and no start; ``end`` writes a transition that has
none. Where the answer has a follow-up, the engine calls it again with that, so much later. Raises
Transient (try again); cancelling its task stops it.
"""


class Support(StrEnum):
    """How far an engine supports a capability."""

    FULL = "full"
    PLANNED = "planned"
    UNSUPPORTED = "unsupported"


class Capability(StrEnum):
    """What an engine may be able to do; `TENANT_LOCK` is the one that it must."""

    TENANT_LOCK = "tenant-lock"
    """One job at a time for each tenant, the one dispatched last wins."""
    JOURNAL = "journal"
    """The value of a finished step is remembered."""
    RESYNC = "resync"
    """``resync`` is called some time after each job, a killed one too, and gives way to any job."""
    DRY_RUN = "dry-run-registration"
    WATCH = "watch-registration"
    MAKE_LATEST = "make-latest"
    MOVE = "move"
    """What an old version of the worker has begun can be moved to the latest."""


@attrs.frozen(kw_only=True)
class EngineInfo:
    """What an engine says of itself.

    Attributes:
        name: The name of its entry point.
        contract: The major version of the contract that it implements.
        capabilities: What it can do; one that is missing counts as unsupported.
    """

    name: str
    contract: int = CONTRACT
    capabilities: Mapping[Capability, Support] = attrs.field(factory=dict)

    def supports(self, capability: Capability) -> bool:
        """Whether this capability is there in full."""
        return self.capabilities.get(capability) is Support.FULL


@attrs.frozen(kw_only=True)
class HostInfo:
    """What the host says of itself and of the limits that it was given. All times are seconds.

    Attributes:
        step_timeout: After this long a step is given up and entered again.
        longest_carry: How long after its cancellation a step may go on, for a request to end.
        history_retention: How long the record of a deleted tenant is kept.
        resync_after: How long after a job took the lock its tenant is resynced; 0 for never.
        drain_timeout: How long a drain may take.
        max_connections: How many connections the engine may hold at once, so that the process keeps
            descriptors for what else it opens.
    """

    step_timeout: float = 300.0
    longest_carry: float = 0.0
    history_retention: float = 30 * 86400.0
    resync_after: float = 0.0
    drain_timeout: float = 30.0
    max_connections: int = 1000


@attrs.frozen(kw_only=True)
class EngineContext:
    """All that an engine is given.

    Attributes:
        settings: An instance of the factory's ``settings_type``.
        run_job: Carries out one job.
        resync: Resyncs a tenant, for an engine that can put something off.
        is_wanted: Whether Landlord wants a tenant's resource, for `tenants.order`.
        logger: Where the engine logs.
        host: What the host says of itself.
    """

    settings: Any
    run_job: RunJob
    resync: ResyncTenant
    is_wanted: IsWanted
    logger: Logger
    host: HostInfo


class RegistrationState(StrEnum):
    """Whether the backend would send jobs to this worker."""

    REGISTERED = "registered"
    UNKNOWN = "unknown"
    """The backend cannot be asked."""
    UNREGISTERED = "unregistered"
    """The backend does not know this worker any more, or not yet."""
    NOT_LATEST = "not-latest"
    """The backend sends new jobs to another deployment, or takes this one for another version."""
    OUTDATED = "outdated"
    """Another version of the worker answered when the backend asked what it can do.

    Several workers share one address, and some are still old. It is tried again until it is right.
    """
    REFUSED = "refused"
    """The backend keeps something else than this worker sent; another try would not help."""


@attrs.frozen(kw_only=True)
class Registration:
    """What the backend knows of this worker.

    Attributes:
        detail: One sentence for a person: where, as what, and what was done or would be.
    """

    state: RegistrationState
    detail: str = ""


class MoveOutcome(StrEnum):
    """What became of an execution that an old version of the worker had begun."""

    MOVED = "moved"
    KILLED = "killed"
    """A job dispatched later has had the tenant's lock; this one must not go on."""
    ENDED = "ended"
    """It ended by itself meanwhile."""
    RUNNING = "running"
    """It runs there at this moment and was left alone."""
    LEFT = "left"
    """It stays there, for the reason that is told."""


@attrs.frozen(kw_only=True)
class MoveResult:
    """What became of one execution, or would in a dry run.

    Attributes:
        execution_id: The backend's id.
        what: The kind of execution in the backend's words, for example a service and its handler.
        tenant: Its tenant; empty where that cannot be told.
        state: The state in which it was found, in the backend's words.
        detail: Why, where the fate does not say it.
    """

    execution_id: str
    what: str
    tenant: str
    state: str
    fate: MoveOutcome
    detail: str = ""


@attrs.frozen(kw_only=True)
class MoveReport:
    """What came of a move.

    Attributes:
        old: The old version's URL, as the backend spells it.
        latest: The URL of the version that new jobs go to.
        moves: One for each execution that was found.
        remaining: How many need the old version after it; in a dry run, how many need it now.
    """

    old: str
    latest: str
    moves: tuple[MoveResult, ...]
    remaining: int


class Dispatcher(Protocol):
    """Starts and watches jobs on a backend the way Landlord does, its misreadings included."""

    async def dispatch(self, body: bytes) -> str:
        """Send a job.

        Returns:
            The execution id.
        """

    async def poll(self, execution_id: str) -> Mapping[str, object]:
        """What Landlord makes of this execution's state: state, sub_state, retry_count, error."""

    async def kill(self, execution_id: str) -> None:
        """Stop an execution the way Landlord does; one that has ended is left alone."""


@attrs.frozen(kw_only=True)
class LocalBackend:
    """A backend on this machine.

    Attributes:
        settings: What a worker needs to reach it, as the keys of ``workflow.<name>``.
        dispatcher: Plays Landlord's part.
    """

    settings: Mapping[str, str]
    dispatcher: Dispatcher


StartLocalBackend = Callable[[Any, Path], AbstractAsyncContextManager[LocalBackend]]
"""Given an instance of ``settings_type``, for what things are called, and a folder for its data."""


class WorkerEngine(abc.ABC):
    """Connects the worker to one workflow backend.

    It translates transport and durability and nothing else. It hands each body as it came to
    ``run_job``, gives every tenant its lock, and maps the errors of ``run_job`` to its backend. The
    optional methods are called only where ``info`` declares them in full.
    """

    info: EngineInfo

    @abc.abstractmethod
    async def serve(self, started: Callable[[], None]) -> None:
        """Listen, and run until `shutdown`.

        Args:
            started: To be called once, when the backend could reach the worker.

        Raises:
            EngineFailed: It cannot listen, or broke.
            EngineRefused: It declines to serve at all.
        """

    @abc.abstractmethod
    async def register(self) -> Registration:
        """Announce the worker to its backend; doing it again changes nothing.

        It is called again where the registration is gone, and where it is outdated: then it must
        leave a version alone that registered later.

        Raises:
            RegistrationFailed: Another try may succeed.
            RegistrationRefused: Another try will not help.
        """

    @abc.abstractmethod
    async def shutdown(self, grace: float) -> None:
        """Take no new attempt and let steps in flight finish within ``grace`` seconds.

        Returns when nothing runs any more. May be called again, and before `serve`.
        """

    def check(self) -> None:  # noqa: B027  # optional: most engines decline nothing
        """Say beforehand whether `serve` would decline; it reaches nothing.

        Raises:
            EngineRefused: It would.
        """

    async def dry_run_registration(self) -> Registration:
        """Say what `register` would do; it changes nothing, runs no job and needs no `serve`."""
        raise self._unsupported(Capability.DRY_RUN)

    async def watch_registration(self) -> Registration:
        """Ask the backend once what it knows of this worker."""
        raise self._unsupported(Capability.WATCH)

    async def make_latest(self) -> Registration:
        """Have the backend send new jobs to this worker, whatever else is registered."""
        raise self._unsupported(Capability.MAKE_LATEST)

    async def move(self, old: str, *, dry_run: bool) -> MoveReport:
        """Have the latest version go on with what the version at the URL ``old`` has begun.

        What runs there at this moment is left alone. It needs no `serve`, and may be done at any
        time, again, and after one that was cut short.

        Args:
            old: Where the backend reaches the old version.
            dry_run: Only say what would be done.

        Raises:
            SettingsError: The backend knows no such version, or sends new jobs to it.
            EngineError: The backend gives no usable answer.
        """
        _ = old, dry_run
        raise self._unsupported(Capability.MOVE)

    def _unsupported(self, capability: Capability) -> CapabilityNotSupported:
        return CapabilityNotSupported(
            f"worker engine {self.info.name!r} does not support {capability.value!r}",
            hint="see `landlord-host engines` and the engine's documentation",
        )


@attrs.frozen(kw_only=True)
class EngineFactory:
    """What an entry point in ``landlord.worker_engines`` leads to.

    Attributes:
        settings_type: The attrs class of the section ``workflow.<name>``; core loads and checks it,
            and calls its method ``check()`` where it has one, which may raise SettingsError.
        create_engine: Makes the engine, without reaching the backend. It may raise SettingsError.
        local_backend: Runs a backend on this machine for as long as it is entered; ``None`` where
            the engine has none. It is part of the factory and not of the engine, since it yields
            what an engine's settings need.
        other_local_backends: Other ways to run one, by the names that ``landlord-host dev
            --backend`` takes.
    """

    settings_type: type
    create_engine: Callable[[EngineContext], WorkerEngine]
    local_backend: StartLocalBackend | None = None
    other_local_backends: Mapping[str, StartLocalBackend] = attrs.field(factory=dict)
