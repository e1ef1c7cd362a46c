"""State of a tenant's lock, and the requests and responses of its handlers."""

import attrs
from restate import ObjectContext, ObjectSharedContext
from restate.serde import BytesSerde

from landlord_engines_core import codec
from landlord_engines_core.engine import OpenJob
from landlord_engines_core.models import CompletedJob, JobStart, Placement, Record, Transition
from landlord_engines_restate.lock.ordering import Holder

__all__ = [
    "HISTORY_KEY",
    "STATE",
    "AcquireRequest",
    "AcquireResponse",
    "EndResult",
    "LockState",
    "ResyncRequest",
    "TenantStatus",
    "load_history",
    "load_state",
    "save_state",
]

STATE = "lock"
"""Key of the state entry with the holder and the record."""

HISTORY_KEY = "past"
"""Key of the state entry with the tenant's history as JSON lines."""


@attrs.frozen(kw_only=True)
class LockState:
    """The holder of a tenant's lock, and the tenant's record with the last job's transition only.

    Attributes:
        holder: The job that acquired the lock last; it may have ended.
        record: The placements, and the transitions of the holder and of its resync.
        resync: The resync that acquired the lock after the holder and has not ended.
        followed: Whether the holder's resync was requested.
        preempted: Whether the previous holder ended without recording its end.
    """

    holder: Holder | None = None
    record: Record = attrs.field(factory=Record)
    resync: Holder | None = None
    followed: bool = False
    preempted: bool = False

    def running_job(self) -> str:
        """Return the holder's id until its end is recorded; then an empty text."""
        if self.holder is None or self.has_ended(self.holder.execution_id):
            return ""
        return self.holder.execution_id

    def later_job(self, execution_id: str) -> str:
        """Return the holder's id if the holder is another job; else an empty text."""
        if self.holder is None:
            return ""  # ``forget`` has cleared the tenant's state
        holder = self.holder.execution_id
        return "" if holder == execution_id else holder

    def has_ended(self, execution_id: str) -> bool:
        """Whether this job's end is recorded, or ``forget`` has cleared the state."""
        return self.holder is None or self.record.has_ended(execution_id)

    def needs_end(self, execution_id: str) -> bool:
        """Whether the end of this job or resync has yet to be recorded."""
        open_ids = {
            transition.execution_id
            for transition in self.record.transitions
            if not transition.ended_at
        }
        is_resync = self.resync is not None and self.resync.execution_id == execution_id
        return execution_id in open_ids or is_resync


@attrs.frozen(kw_only=True)
class AcquireRequest:
    """Request of a job for the lock."""

    execution_id: str
    note: JobStart


@attrs.frozen(kw_only=True)
class ResyncRequest:
    """Request of a resync for the lock; ``after`` is the id of the job that it follows."""

    execution_id: str
    after: str
    note: JobStart


@attrs.frozen(kw_only=True)
class AcquireResponse:
    """Response to both requests: the record, or the job that has the lock instead."""

    record: Record = attrs.field(factory=Record)
    superseded_by: str = ""


@attrs.frozen(kw_only=True)
class EndResult:
    """Messages to send after a job's end.

    Attributes:
        resync: The job, if its ``acquire`` could not request the resync.
        forget: Id of the tenant's last job, if no placement is left; else empty.
    """

    resync: CompletedJob | None = None
    forget: str = ""


@attrs.frozen(kw_only=True)
class TenantStatus:
    """Response of the handler ``status``.

    Attributes:
        jobs: The jobs that have not ended: the holder, and held or retried jobs.
    """

    tenant: str
    holder: Holder | None = None
    resync: Holder | None = None
    placements: tuple[Placement, ...] = ()
    last: Transition | None = None
    jobs: tuple[OpenJob, ...] = ()


async def load_state(ctx: ObjectContext | ObjectSharedContext) -> LockState:
    """Read the lock's state; it is empty for a new tenant."""
    raw = await ctx.get(STATE, serde=BytesSerde())
    return codec.loads(raw, LockState) if raw else LockState()


async def load_history(ctx: ObjectContext | ObjectSharedContext) -> bytes:
    """Read the history's JSON lines."""
    return await ctx.get(HISTORY_KEY, serde=BytesSerde()) or b""


def save_state(ctx: ObjectContext, state: LockState) -> None:
    """Write the lock's state."""
    ctx.set(STATE, codec.dumps(state), serde=BytesSerde())
