"""What Restate calls: the service that Landlord names, and the private lock; no decisions here."""

from collections.abc import Awaitable, Container
from datetime import timedelta
from functools import partial
from typing import TypeVar

import attrs
from restate import (
    Context,
    InvocationRetryPolicy,
    ObjectContext,
    ObjectSharedContext,
    SdkInternalBaseException,
    Service,
    TerminalError,
    VirtualObject,
)
from restate.serde import BytesSerde

from landlord_engines_core import codec
from landlord_engines_core.engine import EngineContext, HostInfo
from landlord_engines_core.errors import InvalidJob, SetApart
from landlord_engines_core.models import CompletedJob, Transition
from landlord_engines_restate import lock
from landlord_engines_restate.admin import AdminClient
from landlord_engines_restate.claims import Claims
from landlord_engines_restate.crash_loops import AttemptLosses
from landlord_engines_restate.history import shown
from landlord_engines_restate.journal import Pauses, put_off
from landlord_engines_restate.open_jobs import OpenJobs
from landlord_engines_restate.ordering import DispatchOrder
from landlord_engines_restate.settings import Names
from landlord_engines_restate.states import LockStates
from landlord_engines_restate.steps import LockCalls, RestateSteps, ResyncSteps

__all__ = ["Services", "build_services"]

T = TypeVar("T")

MAX_ATTEMPTS = 2_147_483_647
"""The server takes None for its own 70 and 0 for 1, and then pauses a job for ever."""

COMPLETION_RETENTION = timedelta(days=7)
JOURNAL_RETENTION = timedelta(days=1)

MAX_INTERVAL = timedelta(seconds=2)
"""It decides how soon work goes on after a worker was away, so it is short; the longer pauses of
failing steps are set at the step."""

RETRIES = InvocationRetryPolicy(
    initial_interval=timedelta(milliseconds=100),
    exponentiation_factor=2.0,
    max_interval=MAX_INTERVAL,
    max_attempts=MAX_ATTEMPTS,
    on_max_attempts="pause",
)

FORGET = "forget"
RESYNC = "resync"
"""Handlers that are sent to by name, some time after an end."""

BACKGROUND_RETRIES = InvocationRetryPolicy(
    initial_interval=timedelta(milliseconds=100),
    exponentiation_factor=2.0,
    max_interval=timedelta(seconds=30),
    max_attempts=MAX_ATTEMPTS,
    on_max_attempts="pause",
)
"""For what nobody waits for: after an outage there is one for each job before it."""


@attrs.frozen(kw_only=True)
class Services:
    """The three services of a worker."""

    jobs: Service
    lock: VirtualObject
    resync: Service


def build_services(
    names: Names, context: EngineContext, admin: AdminClient, *, known: Container[str]
) -> Services:
    """Build the services that Restate calls.

    Args:
        names: What they are called.
        context: What carries out jobs, and the host's limits.
        admin: Restate's admin API.
        known: The names of the services that Restate was seen to know; they become more.
    """
    host, run_job, resync_tenant = context.host, context.run_job, context.resync
    pauses = Pauses()
    order = DispatchOrder(admin=admin, is_wanted=context.is_wanted)
    states = LockStates(admin=admin, lock=names.lock)
    # A step that outlives the abort timeout is started again while it still runs.
    abort_timeout = timedelta(seconds=2 * host.step_timeout + host.longest_carry)
    tenant_lock = VirtualObject(
        names.lock,
        abort_timeout=abort_timeout,
        idempotency_retention=COMPLETION_RETENTION,
        journal_retention=JOURNAL_RETENTION,
        invocation_retry_policy=RETRIES,
    )
    follow_ups = FollowUps(names=names, host=host, known=known)
    claims = Claims(order=order, pauses=pauses)
    calls = _add_lock_handlers(tenant_lock, claims, follow_ups)
    _add_views(tenant_lock, OpenJobs(admin))
    losses = AttemptLosses(admin=admin, logger=context.logger)
    job_steps = partial(
        RestateSteps, lock=calls, states=states, order=order, pauses=pauses, losses=losses
    )
    resync_steps = partial(
        ResyncSteps, lock=calls, states=states, order=order, pauses=pauses, losses=losses
    )
    jobs = _service(names.service, abort_timeout, RETRIES)

    @jobs.handler("execute", accept="*/*", input_serde=BytesSerde(), output_serde=BytesSerde())
    async def execute(ctx: Context, body: bytes) -> bytes:
        """Carry out one job; the body is Landlord's ProvisionRequest."""
        steps = job_steps(execution_id=ctx.request().id, ctx=ctx)
        try:
            return codec.dumps(await _attempted(run_job(body, steps), steps))
        except InvalidJob as error:
            raise TerminalError(str(error), status_code=error.status) from None

    resync_service = _service(names.resync, abort_timeout, BACKGROUND_RETRIES)
    raw = BytesSerde()

    @resync_service.handler(RESYNC, ingress_private=True, input_serde=raw, output_serde=raw)
    async def resync(ctx: Context, job: bytes) -> bytes:
        """Resync a tenant some time after a job; the answer is that of a job."""
        ended = codec.loads(job, CompletedJob)
        steps = resync_steps(execution_id=ctx.request().id, ctx=ctx, after=ended.execution_id)
        resynced = await _attempted(resync_tenant(ended, steps), steps)
        if (then := resynced.follow_up) is not None:
            # A delayed message, and never a sleep: that would pin this deployment.
            _send_later(ctx, names.resync, then.ended, then.after)
        return codec.dumps(resynced.answer)

    return Services(jobs=jobs, lock=tenant_lock, resync=resync_service)


def _service(name: str, abort_timeout: timedelta, retries: InvocationRetryPolicy) -> Service:
    return Service(
        name,
        abort_timeout=abort_timeout,
        idempotency_retention=COMPLETION_RETENTION,
        journal_retention=JOURNAL_RETENTION,
        invocation_retry_policy=retries,
    )


def _send_later(
    ctx: Context | ObjectContext, service: str, ended: CompletedJob, after: float
) -> None:
    ctx.generic_send(service, RESYNC, codec.dumps(ended), send_delay=timedelta(seconds=after))


@attrs.frozen(kw_only=True)
class FollowUps:
    """Sends for what is to come some time after a job.

    Attributes:
        names: What the services are called.
        host: When a tenant is resynced, and forgotten.
        known: The names of the services that Restate was seen to know.
    """

    names: Names
    host: HostInfo
    known: Container[str]

    def resync(self, ctx: ObjectContext, ended: CompletedJob) -> bool:
        """Send for the resync of a tenant; whether that could be done."""
        # Restate holds a request up that is for a service it does not know, and with it the lock.
        if not self.host.resync_after or self.names.resync not in self.known:
            return False
        _send_later(ctx, self.names.resync, ended, self.host.resync_after)
        return True

    def after_end(self, ctx: ObjectContext, then: lock.EndResult) -> None:
        """Send for what an end asks for."""
        if then.forget:
            ctx.generic_send(
                self.names.lock,
                FORGET,
                then.forget.encode(),
                key=ctx.key(),
                send_delay=timedelta(seconds=self.host.history_retention),
            )
        if then.resync is not None:
            _ = self.resync(ctx, then.resync)


async def _attempted(work: Awaitable[T], steps: RestateSteps) -> T:
    """Carry out an attempt, and note where it ends without losing this worker."""
    try:
        return await work
    except SetApart as error:
        raise put_off(error) from None
    except SdkInternalBaseException as error:
        steps.losses.ended(steps.execution_id)
        raise _drop_traceback(error) from None


async def _freed(work: Awaitable[T]) -> T:
    try:
        return await work
    except SdkInternalBaseException as error:
        raise _drop_traceback(error) from None


def _drop_traceback(suspended: SdkInternalBaseException) -> SdkInternalBaseException:
    """Free what a handler holds at once when Restate suspends it, or a step of it has failed.

    The SDK does so by an error which a task of its own keeps, and the error's traceback keeps that
    task and every frame: a circle at each step of each job, for the garbage collector to find. After
    a failed step the cause makes another one, by a frame of the SDK that keeps it. With thousands
    of jobs that wait for a slot the collector then stops the worker for seconds (seen: 2.9 s).
    """
    if suspended.__cause__ is not None:
        suspended.__cause__.__traceback__ = None
    return suspended.with_traceback(None)


def _add_lock_handlers(
    tenant_lock: VirtualObject, claims: Claims, follow_ups: FollowUps
) -> LockCalls:
    raw = BytesSerde()

    @tenant_lock.handler("acquire", ingress_private=True, input_serde=raw, output_serde=raw)
    async def acquire(ctx: ObjectContext, request: bytes) -> bytes:
        """Acquire the lock; answered once the holder has ended."""
        follow = partial(follow_ups.resync, ctx)
        taken = await _freed(
            lock.acquire(ctx, claims, codec.loads(request, lock.AcquireRequest), follow)
        )
        return codec.dumps(taken)

    @tenant_lock.handler(FORGET, ingress_private=True, input_serde=raw)
    async def forget(ctx: ObjectContext, execution_id: bytes) -> None:
        """Clear the state of a tenant that has stayed deleted."""
        await _freed(lock.forget(ctx, claims, execution_id.decode()))

    @tenant_lock.handler("complete", ingress_private=True, input_serde=raw)
    async def complete(ctx: ObjectContext, transition: bytes) -> None:
        """Write down what a job did."""
        follow_ups.after_end(ctx, await lock.complete(ctx, codec.loads(transition, Transition)))

    @tenant_lock.handler(RESYNC, ingress_private=True, input_serde=raw, output_serde=raw)
    async def resync(ctx: ObjectContext, request: bytes) -> bytes:
        """Acquire the lock to resync the tenant; answered at once."""
        taken = await _freed(lock.resync(ctx, claims, codec.loads(request, lock.ResyncRequest)))
        return codec.dumps(taken)

    return LockCalls(name=tenant_lock.name, acquire=acquire, complete=complete, resync=resync)


def _add_views(tenant_lock: VirtualObject, open_jobs: OpenJobs) -> None:
    raw = BytesSerde()

    @tenant_lock.handler("status", kind="shared", output_serde=raw)
    async def status(ctx: ObjectSharedContext) -> bytes:
        """Show who holds the lock, where the tenant is, its last transition, and its open jobs."""
        state = await lock.load(ctx)
        return codec.dumps(
            lock.TenantStatus(
                tenant=ctx.key(),
                holder=state.holder,
                resync=state.resync,
                placements=state.record.placements,
                last=state.record.transitions[-1] if state.record.transitions else None,
                jobs=await open_jobs.of(ctx.key(), state.running()),
            )
        )

    @tenant_lock.handler("history", kind="shared", output_serde=raw)
    async def history(ctx: ObjectSharedContext) -> bytes:
        """Show the tenant's last transitions, oldest first; one that is open with what it does."""
        state = await lock.load(ctx)
        jobs = await open_jobs.of(ctx.key(), state.running()) if state.running() else ()
        return shown(await lock.past(ctx), state.record.transitions, jobs)
