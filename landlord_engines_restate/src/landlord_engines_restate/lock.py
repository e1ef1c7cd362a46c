"""A tenant's lock: a private virtual object that also keeps the tenant's record.

Whoever wants the lock calls ``acquire``, which returns once the holder has ended. Nothing is ever
given back: a job that has ended in any way, killed included, no longer stands in anybody's way.
Of two jobs the one that was *dispatched* last wins; the order in which they arrive says nothing.
Where nobody has had the lock, nothing is asked: the state then keeps a time that the dispatch did
not come after, and the next job asks for both.
What resyncs the tenant gets the lock only while its last job has ended, and beats no job.

A holder must never *call* an exclusive handler here: the next job's ``acquire`` sits in the object
and waits for the holder. It sends.
"""

from collections.abc import Awaitable, Callable
from datetime import timedelta
from functools import partial

import attrs
from restate import ObjectContext, ObjectSharedContext, TerminalError, select
from restate.context import RestateDurableFuture
from restate.serde import BytesSerde

from landlord_engines_core import codec
from landlord_engines_core.models import (
    CompletedJob,
    ExecutionStatus,
    JobStart,
    Operation,
    Placement,
    Record,
    Transition,
)
from landlord_engines_restate import history
from landlord_engines_restate.claims import Claims
from landlord_engines_restate.open_jobs import OpenJob
from landlord_engines_restate.ordering import Bid, Claim, Holder, Verdict

__all__ = [
    "PAST",
    "STATE",
    "AcquireRequest",
    "AcquireResponse",
    "EndResult",
    "LockState",
    "ResyncRequest",
    "TenantStatus",
    "acquire",
    "complete",
    "forget",
    "load",
    "past",
    "resync",
]

STATE = "lock"
"""The key of the state entry with the holder and the record of what is not over yet."""

PAST = "past"
"""The key of the state entry with the lines of past transitions."""

FIRST_PAUSE = 0.25
LONGEST_PAUSE = 10.0
"""Seconds between two looks at a holder that was asked to give way."""

PATIENCE = 25.0
"""Seconds after which such a holder is killed. It may be on a worker that stands still: Restate itself
would wait for that until its abort timeout, eleven minutes and more. What a worker that lives has on
the wire is carried to its end all the same."""


@attrs.frozen(kw_only=True)
class LockState:
    """What a lock needs to know; its record holds the last job's transition only.

    Attributes:
        holder: The job that acquired the lock last.
        the resync: What resyncs the tenant after that job, or has done so.
        record: The places, and what this job and this resync did.
        followed: Whether the job's call of ``acquire`` has sent for the resync that follows it.
        preempted: Whether the job before it did not end by itself.
    """

    holder: Holder | None = None
    record: Record = attrs.field(factory=Record)
    resync: Holder | None = None
    followed: bool = False
    preempted: bool = False

    def running(self) -> str:
        """The job that has the lock, where its end is not written down, or empty."""
        last = self.holder.execution_id if self.holder is not None else ""
        return "" if self.is_over(last) else last

    def rival(self, after: str) -> str:
        """The job that has the lock where ``after`` is not the last one any more, or empty."""
        if self.holder is None:
            return ""  # it is forgotten already
        last = self.holder.execution_id
        return "" if last == after else last

    def is_over(self, after: str) -> bool:
        """Whether this job's end is written down, or it is forgotten already."""
        return self.holder is None or self.record.has_ended(after)

    def awaits(self, execution_id: str) -> bool:
        """Whether the end of this job or the resync has yet to be written down."""
        begun = {one.execution_id for one in self.record.transitions if not one.ended_at}
        is_resync = self.resync is not None and self.resync.execution_id == execution_id
        return execution_id in begun or is_resync


@attrs.frozen(kw_only=True)
class AcquireRequest:
    """A job asks for the lock."""

    execution_id: str
    note: JobStart


@attrs.frozen(kw_only=True)
class ResyncRequest:
    """What resyncs the tenant asks for the lock, ``after`` a job."""

    execution_id: str
    after: str
    note: JobStart


@attrs.frozen(kw_only=True)
class AcquireResponse:
    """The answer to both requests: the record, or the job that has the lock instead."""

    record: Record = attrs.field(factory=Record)
    superseded_by: str = ""


@attrs.frozen(kw_only=True)
class EndResult:
    """What has come of an end.

    Attributes:
        resync: What is to resync the tenant, where ``acquire`` has not sent for that.
        forget: Where nothing of the tenant is left: its last job, after which to forget it.
    """

    resync: CompletedJob | None = None
    forget: str = ""


@attrs.frozen(kw_only=True)
class TenantStatus:
    """What ``status`` shows of a tenant.

    Attributes:
        jobs: Those that have not ended: the holder, and any that is held or retried.
    """

    tenant: str
    holder: Holder | None = None
    resync: Holder | None = None
    placements: tuple[Placement, ...] = ()
    last: Transition | None = None
    jobs: tuple[OpenJob, ...] = ()


async def load(ctx: ObjectContext | ObjectSharedContext) -> LockState:
    """Read the lock's state; a tenant that was never seen has an empty one."""
    raw = await ctx.get(STATE, serde=BytesSerde())
    return codec.loads(raw, LockState) if raw else LockState()


async def past(ctx: ObjectContext | ObjectSharedContext) -> bytes:
    """Read the lines of past transitions."""
    return await ctx.get(PAST, serde=BytesSerde()) or b""


def save(ctx: ObjectContext, state: LockState) -> None:
    """Write the lock's state."""
    ctx.set(STATE, codec.dumps(state), serde=BytesSerde())


async def acquire(
    ctx: ObjectContext,
    claims: Claims,
    request: AcquireRequest,
    follow: Callable[[CompletedJob], bool],
) -> AcquireResponse:
    """Give the lock to a job once the holder has ended, or tell it that it came too late.

    Args:
        ctx: The lock's.
        claims: Asks about jobs.
        request: Who asks.
        follow: Sends for the resync of the tenant; whether it could.
    """
    state = await load(ctx)
    holder, me, note = state.holder, request.execution_id, request.note
    bid = Bid(tenant=ctx.key(), execution_id=me, operation=note.operation, is_uuid=note.is_uuid)
    record, claim, preempted = state.record, Claim(verdict=Verdict.FREE), False
    if holder is not None and holder.execution_id != me:
        look = partial(claims.ask, ctx, bid, holder, record)
        claim = await look()
        if claim.verdict == Verdict.SUPERSEDED:
            if record.has_ended(holder.execution_id):
                follow(_overridden(ctx.key(), holder, note, record))
            return AcquireResponse(superseded_by=holder.execution_id)
        record = await _after(ctx, look, claim, holder, record)
        preempted = not record.has_ended(holder.execution_id)
    if state.resync is not None:
        look = partial(claims.ask, ctx, bid, state.resync, record)
        record = await _after(ctx, look, await look(), state.resync, record)
    ctx.set(PAST, history.added(await past(ctx), record.transitions), serde=BytesSerde())
    holds = Holder(
        execution_id=me,
        since=note.started_at,
        dispatched=claim.dispatched,
        operation=note.operation,
    )
    record = attrs.evolve(record, transitions=()).with_start(me, note)
    taken = LockState(holder=holds, record=record, preempted=preempted)
    save(ctx, attrs.evolve(taken, followed=follow(_followed(ctx.key(), taken))))
    return AcquireResponse(record=record)


async def resync(ctx: ObjectContext, claims: Claims, request: ResyncRequest) -> AcquireResponse:
    """Give the lock to what resyncs the tenant, unless a job has taken it meanwhile.

    A job that was killed has no end in the record; Restate is asked whether it has ended.
    """
    state = await load(ctx)
    rival = state.rival(request.after)
    if not rival and state.holder is not None and not state.record.has_ended(request.after):
        rival = "" if await claims.was_killed(ctx, request.after) else request.after
    if rival:
        return AcquireResponse(superseded_by=rival)
    resync = Holder(
        execution_id=request.execution_id, since=request.note.started_at, is_resync=True
    )
    record = state.record.with_placement(request.note.placement)
    save(ctx, attrs.evolve(state, resync=resync, record=record))
    return AcquireResponse(record=record)


async def complete(ctx: ObjectContext, transition: Transition) -> EndResult:
    """Write down what was done, once; the next job's ``acquire`` may have done so already."""
    state = await load(ctx)
    if not state.awaits(transition.execution_id):
        return EndResult()
    record = state.record.with_end(transition)
    is_resync = state.resync is not None and (state.resync.execution_id == transition.execution_id)
    save(ctx, attrs.evolve(state, record=record, resync=None, followed=True))
    emptied = transition.operation in (Operation.DELETE, Operation.RESYNC)
    last = record.transitions[-1].execution_id if record.transitions else ""
    follow = None if is_resync or state.followed else _followed(ctx.key(), state)
    return EndResult(resync=follow, forget=last if emptied and not record.placements else "")


async def forget(ctx: ObjectContext, claims: Claims, execution_id: str) -> None:
    """Clear the tenant's state, unless anything has happened since this delete, or happens now."""
    state = await load(ctx)
    last = {one.execution_id for one in state.record.transitions}
    if state.record.placements or execution_id not in last:
        return
    # The end of what resyncs it sends another request to forget, unless it was killed.
    resync = state.resync
    if resync is None or await claims.was_killed(ctx, resync.execution_id):
        ctx.clear_all()


def _followed(tenant: str, state: LockState) -> CompletedJob:
    """What is to be resynced after the holder."""
    assert state.holder is not None, "somebody has the lock"
    return CompletedJob(
        tenant=tenant,
        execution_id=state.holder.execution_id,
        operation=state.holder.operation,
        removed=tuple(placement.bare() for placement in state.record.placements),
        preempted=state.preempted,
    )


def _overridden(tenant: str, holder: Holder, note: JobStart, record: Record) -> CompletedJob:
    """What is to be resynced after a job that gave way to one that has ended: Landlord decides."""
    locations = (*record.placements, *note.candidates)
    return CompletedJob(
        tenant=tenant,
        execution_id=holder.execution_id,
        operation=holder.operation,
        removed=tuple(dict.fromkeys(placement.bare() for placement in locations)),
        overrode_delete=note.operation == Operation.DELETE,
    )


async def _after(
    ctx: ObjectContext,
    look: Callable[..., Awaitable[Claim]],
    claim: Claim,
    holder: Holder,
    record: Record,
) -> Record:
    """Wait until the holder has ended; its end is in the record that is returned."""
    if claim.verdict == Verdict.FREE and record.has_ended(holder.execution_id):
        return record
    ended = ctx.attach_invocation(holder.execution_id, serde=BytesSerde())
    try:
        if claim.verdict == Verdict.RUNNING:
            await _preempt(ctx, look, holder, ended)
        answer = await ended
    except TerminalError:
        # Either the holder was cancelled, killed or failed, or this very call is cancelled; the
        # error does not tell, and only the first lets the next job in.
        if (await look()).verdict == Verdict.RUNNING:
            raise
        return record
    transition = codec.loads(answer, ExecutionStatus).output.transition
    return record.with_end(transition) if transition is not None else record


async def _preempt(
    ctx: ObjectContext,
    look: Callable[..., Awaitable[Claim]],
    holder: Holder,
    ended: RestateDurableFuture[bytes],
) -> None:
    """Cancel the holder and look again now and then.

    Once it stands still, or has had its time, the look kills it.
    """
    ctx.cancel_invocation(holder.execution_id)
    pause, waited = FIRST_PAUSE, 0.0
    verdict: str = Verdict.RUNNING
    while verdict == Verdict.RUNNING:
        first, _ = await select(ended=ended, pause=ctx.sleep(timedelta(seconds=pause)))
        waited += pause
        if first == "ended":
            return
        verdict = (await look(insist=waited >= PATIENCE)).verdict
        pause = min(2 * pause, LONGEST_PAUSE)
