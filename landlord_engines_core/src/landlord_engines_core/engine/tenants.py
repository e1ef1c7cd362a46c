"""Tenants as a backend keeps them: their records, and their jobs that have not ended."""

import re
from enum import StrEnum

import attrs

from landlord_engines_core.errors import Held, Queued, SetApart
from landlord_engines_core.models import Outcome, Placement, Record, Transition

__all__ = ["IDLE", "KILLED", "JobFailure", "JobState", "OpenJob", "TenantStatus", "read_failure"]

IDLE = "idle"
"""State of a tenant without an open job."""

KILLED = "killed"
"""Outcome of a job that ended without writing its end into the record."""

_NOT_DESIRED = (KILLED, Outcome.ROLLED_BACK, Outcome.REFUSED)
"""Outcomes after which the target differs, or may differ, from the desired state."""

_ERROR = re.compile(r"\b(LE\d{3}): (.*?)(?: \(tenant (.*)\))?\Z", re.DOTALL)
"""Text of one of our errors: code, message and, for a job that waits, the tenant."""


class JobState(StrEnum):
    """State of a job that has not ended."""

    RUNNING = "running"
    HELD = "held"
    """It waits until its configuration changes, and retries every `hold_retry_interval`."""
    RETRYING = "retrying"
    QUEUED = "queued"
    """It waits for a slot."""
    SET_APART = "set-apart"
    """Its worker died several times during it. It waits before the next attempt."""
    PAUSED = "paused"
    """It waits until an operator resumes it."""
    UNKNOWN = "unknown"
    """The backend gave no usable response."""

    @property
    def is_waiting(self) -> bool:
        """Whether the job waits for an attempt that an operator can start at once."""
        return self not in (JobState.RUNNING, JobState.UNKNOWN)


_BY_CODE = {
    Held.code: JobState.HELD,
    Queued.code: JobState.QUEUED,
    SetApart.code: JobState.SET_APART,
}


@attrs.frozen(kw_only=True)
class JobFailure:
    """Parts of the text of a failed attempt; all are empty if the error is not ours."""

    code: str = ""
    reason: str = ""
    tenant: str = ""

    @property
    def state(self) -> JobState:
        """State of a job that waits for its next attempt after this failure."""
        return _BY_CODE.get(self.code, JobState.RETRYING)


def read_failure(text: str) -> JobFailure:
    """Read the text of a failed attempt, as a backend keeps it."""
    match = _ERROR.search(text)
    if match is None:
        return JobFailure()
    return JobFailure(code=match[1], reason=match[2], tenant=match[3] or "")


@attrs.frozen(kw_only=True)
class OpenJob:
    """A job that has not ended.

    Attributes:
        since: When the backend accepted it, as RFC 3339 text.
        attempts: Number of attempts since it last made progress.
        code: Code of the last attempt's error, ours or the backend's; empty if no attempt failed.
        reason: Message, if the error is ours; it never contains a value of a configuration.
        next_try_at: When the backend starts the next attempt, as RFC 3339 text; empty if unknown.
    """

    execution_id: str
    state: JobState
    since: str = ""
    attempts: int = 0
    code: str = ""
    reason: str = ""
    next_try_at: str = ""

    @property
    def error(self) -> str:
        """Why the last attempt failed, with the error's code; empty if none failed."""
        return ": ".join(filter(None, (self.code, self.reason)))


@attrs.frozen(kw_only=True)
class TenantStatus:
    """One tenant at the moment of the reading.

    Attributes:
        tenant: The tenant's key.
        record: The tenant's record; empty if no job ever had the tenant's lock.
        jobs: The jobs that have not ended, the lock's holder first.
    """

    tenant: str
    record: Record = attrs.field(factory=Record)
    jobs: tuple[OpenJob, ...] = ()

    @property
    def job(self) -> OpenJob | None:
        """The open job that decides the state: one that waits comes before one that runs."""
        return min(self.jobs, key=lambda job: not job.state.is_waiting, default=None)

    @property
    def state(self) -> str:
        """A value of `JobState`, or `IDLE`."""
        return self.job.state if self.job is not None else IDLE

    @property
    def last(self) -> Transition | None:
        """The last transition that has ended, or that a killed job left open."""
        ended = (each for each in reversed(self.record.transitions) if self.outcome_of(each))
        return next(ended, None)

    @property
    def outcome(self) -> str:
        """The outcome of the last job that has ended; empty if none has."""
        return self.outcome_of(self.last) if self.last is not None else ""

    @property
    def since(self) -> str:
        """When the tenant got into its state, as RFC 3339 text; may be empty."""
        if self.job is not None:
            return self.job.since
        return (self.last.ended_at or self.last.started_at) if self.last is not None else ""

    @property
    def reason(self) -> str:
        """Why the tenant is in its state, with the error's code; may be empty."""
        if self.job is not None:
            return self.job.error
        return self.last.detail if self.last is not None else ""

    @property
    def is_known(self) -> bool:
        """Whether the backend has a record or an open job of the tenant."""
        return self.record != Record() or bool(self.jobs)

    @property
    def placement(self) -> Placement | None:
        """Where the resource that serves the tenant is, or may be."""
        return self.record.placements[-1] if self.record.placements else None

    @property
    def is_converged(self) -> bool:
        """Whether no job is open, and the last one did what was asked."""
        return self.job is None and self.outcome not in _NOT_DESIRED

    def outcome_of(self, transition: Transition) -> str:
        """Return a transition's outcome: `KILLED` without an end and a job, empty while its job is open."""
        if transition.ended_at is not None:
            return transition.outcome
        is_open = any(job.execution_id == transition.execution_id for job in self.jobs)
        return "" if is_open else KILLED

    def has_engine(self, engine: str) -> bool:
        """Whether the tenant has, or may have, a resource on this compute engine."""
        return any(placement.engine == engine for placement in self.record.placements)
