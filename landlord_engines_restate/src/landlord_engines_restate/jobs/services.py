"""The services that Restate calls: jobs, which Landlord names, and the private lock and resync."""

from collections.abc import Awaitable
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
from restate.serde import BytesSerde

from landlord_engines_core import codec
from landlord_engines_core.engine import EngineContext
from landlord_engines_core.errors import InvalidJob, SetApart
from landlord_engines_core.models import CompletedJob
from landlord_engines_restate.admin import AdminClient
from landlord_engines_restate.admin.known_services import KnownServices
from landlord_engines_restate.jobs.crash_loops import AttemptLosses
from landlord_engines_restate.jobs.steps import RestateSteps, ResyncSteps, StepTools
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
"""Attempts without end."""
# The server reads None as its own default, 70, and 0 as 1. After the last attempt it pauses a job,
# and a paused job waits for an operator.

COMPLETION_RETENTION = timedelta(days=7)
JOURNAL_RETENTION = timedelta(days=1)

MAX_INTERVAL = timedelta(seconds=2)
"""Longest pause between two attempts of a job."""
# After an outage of the worker a job goes on within this time. Failing steps set longer pauses of
# their own.

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
    # After an outage there is a resync for each job before it, and nobody waits for them.
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
        known: The services that Restate was seen to know.
    """
    host = context.host
    # A shorter abort timeout would start a step again while its first run still acts.
    options = _options(timedelta(seconds=2 * host.step_timeout + host.longest_carry))
    tenant_lock = VirtualObject(names.lock, invocation_retry_policy=RETRIES, **options)
    jobs = Service(names.service, invocation_retry_policy=RETRIES, **options)
    resync = Service(names.resync, invocation_retry_policy=BACKGROUND_RETRIES, **options)
    follow_ups = FollowUps(names=names, host=host, known=known)
    tools = _build_tools(tenant_lock, follow_ups, context, admin)
    JobHandlers(names=names, context=context, tools=tools).add_to(jobs, resync)
    return Services(jobs=jobs, lock=tenant_lock, resync=resync)


def _build_tools(
    tenant_lock: VirtualObject, follow_ups: FollowUps, context: EngineContext, admin: AdminClient
) -> StepTools:
    """Add the lock's handlers to its virtual object, and build the tools of the steps that call it."""
    pauses, order = Pauses(), DispatchOrder(admin=admin, is_wanted=context.is_wanted)
    lock_handlers = LockHandlers(
        claims=Claims(order=order, pauses=pauses),
        follow_ups=follow_ups,
        open_jobs=OpenJobs(admin),
    )
    return StepTools(
        lock=lock_handlers.add_to(tenant_lock),
        reader=LockReader(admin=admin, lock=tenant_lock.name),
        order=order,
        pauses=pauses,
        losses=AttemptLosses(admin=admin, logger=context.logger),
    )


def _options(abort_timeout: timedelta) -> dict[str, Any]:
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
    tools: StepTools

    def add_to(self, jobs: Service, resync: Service) -> None:
        """Add the handlers to their services."""
        raw = BytesSerde()
        # A bad body has to end with our own 4xx, whatever its content type.
        jobs.handler("execute", accept="*/*", input_serde=raw, output_serde=raw)(self.execute)
        # Only workers send resyncs: the ingress refuses them.
        resync.handler(RESYNC, ingress_private=True, input_serde=raw, output_serde=raw)(self.resync)

    async def execute(self, ctx: Context, body: bytes) -> bytes:
        """Carry out one job; the body is Landlord's ProvisionRequest."""
        steps = RestateSteps(execution_id=ctx.request().id, ctx=ctx, tools=self.tools)
        try:
            return codec.dumps(await run_attempt(self.context.run_job(body, steps), steps))
        except InvalidJob as error:
            raise TerminalError(str(error), status_code=error.status) from None

    async def resync(self, ctx: Context, job: bytes) -> bytes:
        """Resync a tenant some time after a job; the response has a job's form."""
        completed = codec.loads(job, CompletedJob)
        steps = ResyncSteps(
            execution_id=ctx.request().id,
            ctx=ctx,
            tools=self.tools,
            after=completed.execution_id,
        )
        result = await run_attempt(self.context.resync(completed, steps), steps)
        if (follow_up := result.follow_up) is not None:
            # A sleep in this handler would bind it to this deployment until then.
            send_resync(ctx, self.names.resync, follow_up.ended, follow_up.after)
        return codec.dumps(result.answer)


async def run_attempt(work: Awaitable[T], steps: RestateSteps) -> T:
    """Run an attempt, and note where it ends without the loss of this worker."""
    try:
        return await work
    except SetApart as error:
        raise retry_later(error) from None
    except SdkInternalBaseException as error:
        steps.tools.losses.note_end(steps.execution_id)
        raise drop_traceback(error) from None
