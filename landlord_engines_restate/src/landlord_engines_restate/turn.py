"""A tenant's turn: a private virtual object that also keeps the tenant's record.

Whoever wants the turn calls ``take``, which returns once the holder has ended. Nothing is ever
given back: a job that has ended in any way, killed included, no longer stands in anybody's way.
Of two jobs the one that was *dispatched* last wins; the order in which they arrive says nothing.
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
    ExecutionStatus,
    Note,
    Operation,
    Placement,
    Record,
    Transition,
)
from landlord_engines_restate import history, journal
from landlord_engines_restate.rivals import Claim, Holder, Rivals, Verdict

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


@attrs.frozen(kw_only=True)
class TurnState:
    """What a turn needs to know; its record holds the last job's transition only.

    Attributes:
        holder: The job that took the turn last.
        settling: What settles the tenant after that job, or has done so.
        record: The places, and what this job and this settling did.
    """

    holder: Holder | None = None
    record: Record = attrs.field(factory=Record)
    settling: Holder | None = None

    def rival(self, after: str) -> str:
        """The job that has the turn where ``after`` is not the last one any more, or empty."""
        if self.holder is None:
            return ""  # it is forgotten already
        last = self.holder.execution_id
        return "" if last == after and self.record.has_ended(after) else last

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
        written: It was written down, and had not been before.
        forget: Where nothing of the tenant is left: its last job, after which to forget it.
    """

    written: bool = False
    forget: str = ""


@attrs.frozen(kw_only=True)
class TurnStatus:
    """What ``status`` shows of a tenant."""

    tenant: str
    holder: Holder | None = None
    settling: Holder | None = None
    placements: tuple[Placement, ...] = ()
    last: Transition | None = None


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


async def take(ctx: ObjectContext, rivals: Rivals, pauses: journal.Pauses, wish: Take) -> Taken:
    """Give the turn to a job once the holder has ended, or tell it that it came too late."""
    state = await load(ctx)
    holder, me = state.holder, wish.execution_id
    judge = partial(rivals.claim, me, holder, state.record)
    look = partial(journal.run, ctx, pauses, "claim", judge, Claim)
    claim = await look()
    if claim.verdict == Verdict.SUPERSEDED and holder is not None:
        return Taken(superseded_by=holder.execution_id)
    record = state.record
    if holder is not None and holder.execution_id != me:
        record = await _after(ctx, look, claim, holder, record)
    if state.settling is not None:
        judge = partial(rivals.claim, me, state.settling, record)
        look = partial(journal.run, ctx, pauses, "claim", judge, Claim)
        record = await _after(ctx, look, await look(), state.settling, record)
    ctx.set(PAST, history.added(await past(ctx), record.transitions), serde=BytesSerde())
    record = Record(placements=record.placements).begun(me, wish.note)
    save(ctx, TurnState(holder=Holder(execution_id=me, since=claim.at), record=record))
    return Taken(record=record)


async def settle(ctx: ObjectContext, wish: Settle) -> Taken:
    """Give the turn to what settles the tenant, unless a job has taken it meanwhile."""
    state = await load(ctx)
    if rival := state.rival(wish.after):
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
    save(ctx, TurnState(holder=state.holder, record=record))
    emptied = transition.operation in (Operation.DELETE, Operation.SETTLE)
    last = record.transitions[-1].execution_id if record.transitions else ""
    return Afterwards(written=True, forget=last if emptied and not record.placements else "")


async def forget(ctx: ObjectContext, execution_id: str) -> None:
    """Clear the tenant's state, unless anything has happened since this delete, or happens now."""
    state = await load(ctx)
    last = {one.execution_id for one in state.record.transitions}
    # The end of what settles it sends another request to forget.
    if not state.record.placements and state.settling is None and execution_id in last:
        ctx.clear_all()


async def _after(
    ctx: ObjectContext,
    look: Callable[[], Awaitable[Claim]],
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
    look: Callable[[], Awaitable[Claim]],
    holder: Holder,
    ended: RestateDurableFuture[bytes],
) -> None:
    """Cancel the holder and look again now and then: once it stands still the look kills it."""
    ctx.cancel_invocation(holder.execution_id)
    pause = FIRST_PAUSE
    verdict: str = Verdict.RUNNING
    while verdict == Verdict.RUNNING:
        first, _ = await select(ended=ended, pause=ctx.sleep(timedelta(seconds=pause)))
        verdict = Verdict.FREE if first == "ended" else (await look()).verdict
        pause = min(2 * pause, LONGEST_PAUSE)
