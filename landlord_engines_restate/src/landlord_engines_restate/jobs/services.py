"""The services that Restate calls: jobs, which Landlord starts, and the private lock and resync."""

from collections.abc import Awaitable
from contextlib import AbstractContextManager
from datetime import timedelta
from typing import Any, TypeVar

import attrs
from restate import (
    Context,
    InvocationRetryPolicy,
    SdkInternalBaseException,
    Service,
    TerminalError,
    VirtualObject,
)
from restate.context import Request
from restate.serde import BytesSerde

from landlord_engines_core import codec
from landlord_engines_core.engine import EngineContext
from landlord_engines_core.errors import InvalidJob, SetApart
from landlord_engines_core.models import CompletedJob
from landlord_engines_core.tracing import continue_trace
from landlord_engines_restate.admin import AdminClient
from landlord_engines_restate.admin.known_services import KnownServices
from landlord_engines_restate.jobs.crash_loops import AttemptLosses
from landlord_engines_restate.jobs.steps import RestateSteps, ResyncSteps, SharedObjects
from landlord_engines_restate.journal import Pauses, drop_traceback, retry_later
from landlord_engines_restate.lock.claims import Claims
from landlord_engines_restate.lock.follow_ups import RESYNC, FollowUps, send_resync
from landlord_engines_restate.lock.handlers import LockHandlers
from landlord_engines_restate.lock.open_jobs import OpenJobs
from landlord_engines_restate.lock.ordering import DispatchOrder
from landlord_engines_restate.lock.reader import LockReader
from landlord_engines_restate.settings import Names

__all__ = ["Services", "build_services"]

T = TypeVar("T")

MAX_ATTEMPTS = 2_147_483_647
"""Effectively unlimited."""
# Restate treats None as its default (70) and 0 as 1. After the last attempt it pauses the invocation
# until an operator resumes it.

COMPLETION_RETENTION = timedelta(days=7)
JOURNAL_RETENTION = timedelta(days=1)

MAX_INTERVAL = timedelta(seconds=2)
"""Longest pause between two attempts of a job."""
# With this limit a job resumes within 2 s once the worker is back. A failing step sets a longer delay.

RETRIES = InvocationRetryPolicy(
    initial_interval=timedelta(milliseconds=100),
    exponentiation_factor=2.0,
    max_interval=MAX_INTERVAL,
    max_attempts=MAX_ATTEMPTS,
    on_max_attempts="pause",
)

BACKGROUND_RETRIES = InvocationRetryPolicy(
    initial_interval=timedelta(milliseconds=100),
    exponentiation_factor=2.0,
    # After an outage many resyncs are due at once, and none is urgent.
    max_interval=timedelta(seconds=30),
    max_attempts=MAX_ATTEMPTS,
    on_max_attempts="pause",
)


@attrs.frozen(kw_only=True)
class Services:
    """The three services of a worker."""

    jobs: Service
    lock: VirtualObject
    resync: Service


def build_services(
    names: Names, context: EngineContext, admin: AdminClient, *, known: KnownServices
) -> Services:
    """Build the services that Restate calls.

    Args:
        names: Names of the services.
        context: Core's job functions, and the host's limits.
        admin: Restate's admin API.
        known: Cache of services found registered in Restate.
    """
    host = context.host
    # A step may wait step_timeout for a slot and then act for step_timeout. After its cancellation a
    # request to the target may take longest_carry. With a shorter abort timeout, Restate could retry a
    # step while its first run still changes the target.
    options = _service_options(timedelta(seconds=2 * host.step_timeout + host.longest_carry))
    tenant_lock = VirtualObject(names.lock, invocation_retry_policy=RETRIES, **options)
    jobs = Service(names.service, invocation_retry_policy=RETRIES, **options)
    resync = Service(names.resync, invocation_retry_policy=BACKGROUND_RETRIES, **options)
    follow_ups = FollowUps(names=names, host=host, known=known)
    shared = _build_shared_objects(tenant_lock, follow_ups, context, admin)
    JobHandlers(names=names, context=context, shared=shared).add_to(jobs, resync)
    return Services(jobs=jobs, lock=tenant_lock, resync=resync)


def _build_shared_objects(
    tenant_lock: VirtualObject, follow_ups: FollowUps, context: EngineContext, admin: AdminClient
) -> SharedObjects:
    """Add the lock's handlers to its virtual object, and build the objects that steps share."""
    pauses, order = Pauses(), DispatchOrder(admin=admin, is_desired=context.is_desired)
    lock_handlers = LockHandlers(
        claims=Claims(order=order, pauses=pauses),
        follow_ups=follow_ups,
        open_jobs=OpenJobs(admin),
    )
    return SharedObjects(
        lock=lock_handlers.add_to(tenant_lock),
        reader=LockReader(admin=admin, lock=tenant_lock.name),
        order=order,
        pauses=pauses,
        losses=AttemptLosses(admin=admin, logger=context.logger),
    )


def _service_options(abort_timeout: timedelta) -> dict[str, Any]:
    return {
        "abort_timeout": abort_timeout,
        "idempotency_retention": COMPLETION_RETENTION,
        "journal_retention": JOURNAL_RETENTION,
    }


@attrs.frozen(kw_only=True)
class JobHandlers:
    """Handlers of jobs and of resyncs; core does the work."""

    names: Names
    context: EngineContext
    shared: SharedObjects

    def add_to(self, jobs: Service, resync: Service) -> None:
        """Add the handlers to their services."""
        raw = BytesSerde()
        # Accept any content type, so that a bad body gets our 4xx and not Restate's.
        jobs.handler("execute", accept="*/*", input_serde=raw, output_serde=raw)(self.execute)
        # Only workers send resyncs: Restate's ingress rejects outside calls.
        resync.handler(RESYNC, ingress_private=True, input_serde=raw, output_serde=raw)(self.resync)

    async def execute(self, ctx: Context, body: bytes) -> bytes:
        """Carry out one job; the body is Landlord's ProvisionRequest."""
        request = ctx.request()
        steps = RestateSteps(execution_id=request.id, ctx=ctx, shared=self.shared)
        try:
            with _continue_trace(request):
                return codec.dumps(await run_attempt(self.context.run_job(body, steps), steps))
        except InvalidJob as error:
            raise TerminalError(str(error), status_code=error.status) from None

    async def resync(self, ctx: Context, job: bytes) -> bytes:
        """Resync a tenant some time after a job; the response has a job's form."""
        resynced_job = codec.loads(job, CompletedJob)
        request = ctx.request()
        steps = ResyncSteps(
            execution_id=request.id,
            ctx=ctx,
            shared=self.shared,
            resynced_id=resynced_job.execution_id,
        )
        with _continue_trace(request):
            result = await run_attempt(self.context.resync(resynced_job, steps), steps)
        if (follow_up := result.follow_up) is not None:
            # Send a delayed call instead of sleeping: a sleeping invocation would keep this deployment
            # in use.
            send_resync(ctx, self.names.resync, follow_up.ended, delay=follow_up.after)
        return codec.dumps(result.answer)


def _continue_trace(request: Request) -> AbstractContextManager[None]:
    """Let an attempt belong to its job's trace."""
    # Restate keeps the headers of Landlord's request. With tracing of its own, Restate also sends its
    # span of this attempt (observed on 1.7.12).
    return continue_trace({**request.headers, **request.attempt_headers})


async def run_attempt(work: Awaitable[T], steps: RestateSteps) -> T:
    """Run one attempt; if it fails while this worker survives, note that it was no crash."""
    try:
        return await work
    except SetApart as error:
        raise retry_later(error) from None
    except SdkInternalBaseException as error:
        steps.shared.losses.note_end(steps.execution_id)
        raise drop_traceback(error) from None
