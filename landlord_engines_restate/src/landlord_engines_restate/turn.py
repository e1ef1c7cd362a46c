"""A tenant's turn: a private virtual object that also keeps the tenant's record.

Whoever wants the turn calls ``take``, which returns once the holder has ended. Nothing is ever
given back: a job that has ended in any way, killed included, no longer stands in anybody's way.
Of two jobs the one that was *dispatched* last wins; the order in which they arrive says nothing.
Where nobody has had the turn, nothing is asked: the state then keeps a time that the dispatch did
not come after, and the next job asks for both.
What settles the tenant gets the turn only while its last job has ended, and beats no job.

A holder must never *call* an exclusive handler here: the next job's ``take`` sits in the object
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
    Ended,
    ExecutionStatus,
    Note,
    Operation,
    Placement,
    Record,
    Transition,
)
from landlord_engines_restate import history
from landlord_engines_restate.claims import Claims
from landlord_engines_restate.open_jobs import OpenJob
from landlord_engines_restate.rivals import Bid, Claim, Holder, Verdict

__all__ = [
    "PAST",
    "STATE",
    "Afterwards",
    "Settle",
    "Take",
    "Taken",
    "TurnState",
    "TurnStatus",
    "end",
    "forget",
    "load",
    "past",
    "settle",
    "take",
]

STATE = "turn"
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
class TurnState:
    """What a turn needs to know; its record holds the last job's transition only.

    Attributes:
        holder: The job that took the turn last.
        settling: What settles the tenant after that job, or has done so.
        record: The places, and what this job and this settling did.
        followed: Whether the job's take has sent for the settling that follows it.
        preempted: Whether the job before it did not end by itself.
    """

    holder: Holder | None = None
    record: Record = attrs.field(factory=Record)
    settling: Holder | None = None
    followed: bool = False
    preempted: bool = False

    def running(self) -> str:
        """The job that has the turn, where its end is not written down, or empty."""
        last = self.holder.execution_id if self.holder is not None else ""
        return "" if self.is_over(last) else last

    def rival(self, after: str) -> str:
        """The job that has the turn where ``after`` is not the last one any more, or empty."""
        if self.holder is None:
            return ""  # it is forgotten already
        last = self.holder.execution_id
        return "" if last == after else last

    def is_over(self, after: str) -> bool:
        """Whether this job's end is written down, or it is forgotten already."""
        return self.holder is None or self.record.has_ended(after)

    def awaits(self, execution_id: str) -> bool:
        """Whether the end of this job or settling has yet to be written down."""
        begun = {one.execution_id for one in self.record.transitions if not one.ended_at}
        settles = self.settling is not None and self.settling.execution_id == execution_id
        return execution_id in begun or settles


@attrs.frozen(kw_only=True)
class Take:
    """A job asks for the turn."""

    execution_id: str
    note: Note


@attrs.frozen(kw_only=True)
class Settle:
    """What settles the tenant asks for the turn, ``after`` a job."""

    execution_id: str
    after: str
    note: Note


@attrs.frozen(kw_only=True)
class Taken:
    """The answer to `Take` and `Settle`: the record, or the job that has the turn instead."""

    record: Record = attrs.field(factory=Record)
    superseded_by: str = ""


@attrs.frozen(kw_only=True)
class Afterwards:
    """What has come of an end.

    Attributes:
        settle: What is to settle the tenant, where the take has not sent for that.
        forget: Where nothing of the tenant is left: its last job, after which to forget it.
    """

    settle: Ended | None = None
    forget: str = ""


@attrs.frozen(kw_only=True)
class TurnStatus:
    """What ``status`` shows of a tenant.

    Attributes:
        jobs: Those that have not ended: the holder, and any that is held or retried.
    """

    tenant: str
    holder: Holder | None = None
    settling: Holder | None = None
    placements: tuple[Placement, ...] = ()
    last: Transition | None = None
    jobs: tuple[OpenJob, ...] = ()


async def load(ctx: ObjectContext | ObjectSharedContext) -> TurnState:
    """Read the turn's state; a tenant that was never seen has an empty one."""
    raw = await ctx.get(STATE, serde=BytesSerde())
    return codec.loads(raw, TurnState) if raw else TurnState()


async def past(ctx: ObjectContext | ObjectSharedContext) -> bytes:
    """Read the lines of past transitions."""
    return await ctx.get(PAST, serde=BytesSerde()) or b""


def save(ctx: ObjectContext, state: TurnState) -> None:
    """Write the turn's state."""
    ctx.set(STATE, codec.dumps(state), serde=BytesSerde())


async def take(
    ctx: ObjectContext,
    claims: Claims,
    wish: Take,
    follow: Callable[[Ended], bool],
) -> Taken:
    """Give the turn to a job once the holder has ended, or tell it that it came too late.

    Args:
        ctx: The turn's.
        claims: Asks about jobs.
        wish: Who asks.
        follow: Sends for the settling of the tenant; whether it could.
    """
    state = await load(ctx)
    holder, me, note = state.holder, wish.execution_id, wish.note
    bid = Bid(tenant=ctx.key(), execution_id=me, operation=note.operation, is_uuid=note.is_uuid)
    record, claim, preempted = state.record, Claim(verdict=Verdict.FREE), False
    if holder is not None and holder.execution_id != me:
        look = partial(claims.ask, ctx, bid, holder, record)
        claim = await look()
        if claim.verdict == Verdict.SUPERSEDED:
            if record.has_ended(holder.execution_id):
                follow(_overridden(ctx.key(), holder, note, record))
            return Taken(superseded_by=holder.execution_id)
        record = await _after(ctx, look, claim, holder, record)
        preempted = not record.has_ended(holder.execution_id)
    if state.settling is not None:
        look = partial(claims.ask, ctx, bid, state.settling, record)
        record = await _after(ctx, look, await look(), state.settling, record)
    ctx.set(PAST, history.added(await past(ctx), record.transitions), serde=BytesSerde())
    holds = Holder(
        execution_id=me,
        since=note.started_at,
        dispatched=claim.dispatched,
        operation=note.operation,
    )
    record = attrs.evolve(record, transitions=()).begun(me, note)
    taken = TurnState(holder=holds, record=record, preempted=preempted)
    save(ctx, attrs.evolve(taken, followed=follow(_followed(ctx.key(), taken))))
    return Taken(record=record)


async def settle(ctx: ObjectContext, claims: Claims, wish: Settle) -> Taken:
    """Give the turn to what settles the tenant, unless a job has taken it meanwhile.

    A job that was killed has no end in the record; Restate is asked whether it has ended.
    """
    state = await load(ctx)
    rival = state.rival(wish.after)
    if not rival and state.holder is not None and not state.record.has_ended(wish.after):
        rival = "" if await claims.was_killed(ctx, wish.after) else wish.after
    if rival:
        return Taken(superseded_by=rival)
    settling = Holder(execution_id=wish.execution_id, since=wish.note.started_at, settles=True)
    record = state.record.placed(wish.note.placement)
    save(ctx, attrs.evolve(state, settling=settling, record=record))
    return Taken(record=record)


async def end(ctx: ObjectContext, transition: Transition) -> Afterwards:
    """Write down what was done, once; the next job's take may have done so already."""
    state = await load(ctx)
    if not state.awaits(transition.execution_id):
        return Afterwards()
    record = state.record.ended(transition)
    settles = state.settling is not None and (
        state.settling.execution_id == transition.execution_id
    )
    save(ctx, attrs.evolve(state, record=record, settling=None, followed=True))
    emptied = transition.operation in (Operation.DELETE, Operation.SETTLE)
    last = record.transitions[-1].execution_id if record.transitions else ""
    follow = None if settles or state.followed else _followed(ctx.key(), state)
    return Afterwards(settle=follow, forget=last if emptied and not record.placements else "")


async def forget(ctx: ObjectContext, claims: Claims, execution_id: str) -> None:
    """Clear the tenant's state, unless anything has happened since this delete, or happens now."""
    state = await load(ctx)
    last = {one.execution_id for one in state.record.transitions}
    if state.record.placements or execution_id not in last:
        return
    # The end of what settles it sends another request to forget, unless it was killed.
    settling = state.settling
    if settling is None or await claims.was_killed(ctx, settling.execution_id):
        ctx.clear_all()


def _followed(tenant: str, state: TurnState) -> Ended:
    """What is to be settled after the holder."""
    assert state.holder is not None, "somebody has the turn"
    return Ended(
        tenant=tenant,
        execution_id=state.holder.execution_id,
        operation=state.holder.operation,
        gone=tuple(placement.bare() for placement in state.record.placements),
        preempted=state.preempted,
    )


def _overridden(tenant: str, holder: Holder, note: Note, record: Record) -> Ended:
    """What is to be settled after a job that gave way to one that has ended: Landlord decides."""
    places = (*record.placements, *note.candidates)
    return Ended(
        tenant=tenant,
        execution_id=holder.execution_id,
        operation=holder.operation,
        gone=tuple(dict.fromkeys(placement.bare() for placement in places)),
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
            await _give_way(ctx, look, holder, ended)
        answer = await ended
    except TerminalError:
        # Either the holder was cancelled, killed or failed, or this very call is cancelled; the
        # error does not tell, and only the first lets the next job in.
        if (await look()).verdict == Verdict.RUNNING:
            raise
        return record
    transition = codec.loads(answer, ExecutionStatus).output.transition
    return record.ended(transition) if transition is not None else record


async def _give_way(
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
