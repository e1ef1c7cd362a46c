"""Protocol of a tenant's lock, which runs inside a virtual object: acquire, resync, complete, forget.

Acquire: a job calls ``acquire``, and the call returns once the previous holder has ended. There is no
release. The end of a job, even a kill, frees the lock, so no crash leaves a lock behind.

Order: of two jobs the one that was *dispatched* last gets the lock. The order of arrival says nothing,
because jobs may arrive in any order after an outage. An older holder is cancelled, and killed if the
cancellation does not end it. An older job that arrives late is superseded.

First job: without a holder there is nothing to compare, so Restate is not queried. The state then keeps
only a time later than the dispatch (`Holder.since`). The next job asks Restate for both dispatch times.

Resync: it gets the lock only while the tenant's last job has ended, and every job preempts it.

Deadlock: a holder must never *call* an exclusive handler of this object. The next job's ``acquire``
occupies the object while it waits for the holder, so the two would wait for each other. A holder
*sends* its end instead.
"""

from collections.abc import Awaitable, Callable
from datetime import timedelta
from functools import partial

import attrs
from restate import ObjectContext, TerminalError, select
from restate.context import RestateDurableFuture
from restate.serde import BytesSerde

from landlord_engines_core import codec
from landlord_engines_core.models import (
    CompletedJob,
    ExecutionStatus,
    JobStart,
    Operation,
    Record,
    Transition,
)
from landlord_engines_restate.lock import history
from landlord_engines_restate.lock.claims import Claims
from landlord_engines_restate.lock.ordering import Claim, Holder, LockRequest, Verdict
from landlord_engines_restate.lock.state import (
    HISTORY_KEY,
    AcquireRequest,
    AcquireResponse,
    EndResult,
    LockState,
    ResyncRequest,
    load_history,
    load_state,
    save_state,
)

__all__ = ["acquire", "complete", "forget", "resync"]

FIRST_PAUSE = 0.25
LONGEST_PAUSE = 10.0
"""Seconds between two checks whether a cancelled holder has ended."""

PATIENCE = 25.0
"""Seconds between the cancellation of a holder and its kill."""
# A frozen worker does not react to a cancellation. Restate alone would wait for it until the abort
# timeout, which is eleven minutes or more. A kill is safe for a live worker: the worker still awaits
# the response to a request that it already sent to the target.


async def acquire(
    ctx: ObjectContext,
    claims: Claims,
    request: AcquireRequest,
    send_resync: Callable[[CompletedJob], bool],
) -> AcquireResponse:
    """Give the lock to a job once the holder has ended, or refuse it to a job that came too late.

    Args:
        ctx: The lock's context.
        claims: Compares jobs.
        request: The job and its start.
        send_resync: Requests a resync after a job; returns whether the request was sent.
    """
    state = await load_state(ctx)
    holder, job_id, start = state.holder, request.execution_id, request.note
    lock_request = LockRequest(
        tenant=ctx.key(), execution_id=job_id, operation=start.operation, is_uuid=start.is_uuid
    )
    record, claim, preempted = state.record, Claim(verdict=Verdict.FREE), False
    # If a retried call finds its job as the holder, the job has acquired the lock already.
    if holder is not None and holder.execution_id != job_id:
        compare = partial(claims.compare, ctx, lock_request, holder, record)
        claim = await compare()
        if claim.verdict == Verdict.SUPERSEDED:
            if record.has_ended(holder.execution_id):
                # The clocks of Restate's nodes differ, so this verdict may be wrong. A resync
                # corrects that soon, because it reads the configuration from Landlord.
                send_resync(_overridden_job(ctx.key(), holder, start, record))
            return AcquireResponse(superseded_by=holder.execution_id)
        record = await _wait_for_end(ctx, compare, claim, holder, record)
        preempted = not record.has_ended(holder.execution_id)
    if state.resync is not None:
        compare = partial(claims.compare, ctx, lock_request, state.resync, record)
        record = await _wait_for_end(ctx, compare, await compare(), state.resync, record)
    # Past transitions move to the history, so that the state stays small after any number of jobs.
    lines = history.append_lines(await load_history(ctx), record.transitions)
    ctx.set(HISTORY_KEY, lines, serde=BytesSerde())
    acquired = _with_holder(record, request, dispatched=claim.dispatched, preempted=preempted)
    # The resync is requested now and not at the job's end, because a killed job never gets there.
    followed = send_resync(_completed_job(ctx.key(), acquired))
    save_state(ctx, attrs.evolve(acquired, followed=followed))
    return AcquireResponse(record=acquired.record)


def _with_holder(
    record: Record, request: AcquireRequest, *, dispatched: str, preempted: bool
) -> LockState:
    """Return the state in which the job that asks is the holder."""
    job_id, start = request.execution_id, request.note
    holder = Holder(
        execution_id=job_id,
        since=start.started_at,
        dispatched=dispatched,
        operation=start.operation,
    )
    started = attrs.evolve(record, transitions=()).with_start(job_id, start)
    return LockState(holder=holder, record=started, preempted=preempted)


async def resync(ctx: ObjectContext, claims: Claims, request: ResyncRequest) -> AcquireResponse:
    """Give the lock to a tenant's resync, unless a job has it."""
    state = await load_state(ctx)
    resynced_id = request.after
    blocking_job = state.later_job(resynced_id)
    if not blocking_job and not state.has_ended(resynced_id):
        # A killed job never records its end. Restate knows whether it was killed or still runs.
        blocking_job = "" if await claims.has_failed(ctx, resynced_id) else resynced_id
    if blocking_job:
        return AcquireResponse(superseded_by=blocking_job)
    holder = Holder(
        execution_id=request.execution_id, since=request.note.started_at, is_resync=True
    )
    record = state.record.with_placement(request.note.placement)
    save_state(ctx, attrs.evolve(state, resync=holder, record=record))
    return AcquireResponse(record=record)


async def complete(ctx: ObjectContext, transition: Transition) -> EndResult:
    """Record the end of a job or a resync, once."""
    state = await load_state(ctx)
    # The next job's acquire may have read this end from the job's result and recorded it already.
    if not state.needs_end(transition.execution_id):
        return EndResult()
    record = state.record.with_end(transition)
    is_resync = state.resync is not None and (state.resync.execution_id == transition.execution_id)
    save_state(ctx, attrs.evolve(state, record=record, resync=None, followed=True))
    may_forget = transition.operation in (Operation.DELETE, Operation.RESYNC)
    last = record.transitions[-1].execution_id if record.transitions else ""
    resync_after = None if is_resync or state.followed else _completed_job(ctx.key(), state)
    return EndResult(
        resync=resync_after, forget=last if may_forget and not record.placements else ""
    )


async def forget(ctx: ObjectContext, claims: Claims, execution_id: str) -> None:
    """Clear a tenant's state, unless anything happened after this delete."""
    state = await load_state(ctx)
    last_ids = {transition.execution_id for transition in state.record.transitions}
    if state.record.placements or execution_id not in last_ids:
        return
    # A running resync sends another ``forget`` at its end. A killed resync never does.
    if state.resync is None or await claims.has_failed(ctx, state.resync.execution_id):
        ctx.clear_all()


def _completed_job(tenant: str, state: LockState) -> CompletedJob:
    """Describe the holder for the resync that follows it."""
    assert state.holder is not None, "the lock has a holder"
    return CompletedJob(
        tenant=tenant,
        execution_id=state.holder.execution_id,
        operation=state.holder.operation,
        removed=tuple(placement.bare() for placement in state.record.placements),
        preempted=state.preempted,
    )


def _overridden_job(tenant: str, holder: Holder, start: JobStart, record: Record) -> CompletedJob:
    """Describe an ended holder for a resync that also checks the superseded job's locations."""
    locations = (*record.placements, *start.candidates)
    return CompletedJob(
        tenant=tenant,
        execution_id=holder.execution_id,
        operation=holder.operation,
        removed=tuple(dict.fromkeys(placement.bare() for placement in locations)),
        overrode_delete=start.operation == Operation.DELETE,
    )


async def _wait_for_end(
    ctx: ObjectContext,
    compare: Callable[..., Awaitable[Claim]],
    claim: Claim,
    holder: Holder,
    record: Record,
) -> Record:
    """Wait until the holder has ended, and return the record with its end."""
    if claim.verdict == Verdict.FREE and record.has_ended(holder.execution_id):
        return record
    end = ctx.attach_invocation(holder.execution_id, serde=BytesSerde())
    try:
        if claim.verdict == Verdict.RUNNING:
            await _preempt(ctx, compare, holder, end)
        answer = await end
    except TerminalError:
        # Either the holder failed, was cancelled or was killed, or this call was cancelled: the error
        # is the same. The next job may have the lock only if the holder has ended.
        if (await compare()).verdict == Verdict.RUNNING:
            raise
        return record
    transition = codec.loads(answer, ExecutionStatus).output.transition
    return record.with_end(transition) if transition is not None else record


async def _preempt(
    ctx: ObjectContext,
    compare: Callable[..., Awaitable[Claim]],
    holder: Holder,
    end: RestateDurableFuture[bytes],
) -> None:
    """Cancel the holder, and wait until it has ended or was killed.

    `DispatchOrder.compare` kills a holder whose code does not run. After `PATIENCE` it kills one that
    still runs.
    """
    ctx.cancel_invocation(holder.execution_id)
    pause, waited = FIRST_PAUSE, 0.0
    verdict: str = Verdict.RUNNING
    while verdict == Verdict.RUNNING:
        first, _ = await select(ended=end, pause=ctx.sleep(timedelta(seconds=pause)))
        waited += pause
        pause = min(2 * pause, LONGEST_PAUSE)
        ended = first == "ended"
        verdict = (
            Verdict.FREE if ended else (await compare(kill_running=waited >= PATIENCE)).verdict
        )
