"""What Restate calls: the service that Landlord names, and the private turn; no decisions here."""

from datetime import timedelta

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
from landlord_engines_core.engine import HostInfo, RunJob
from landlord_engines_core.errors import InvalidJob
from landlord_engines_core.models import Transition
from landlord_engines_restate import turn
from landlord_engines_restate.admin import AdminClient
from landlord_engines_restate.history import shown
from landlord_engines_restate.journal import Pauses
from landlord_engines_restate.registration import Expected
from landlord_engines_restate.rivals import Rivals
from landlord_engines_restate.settings import Names
from landlord_engines_restate.steps import RestateSteps, TurnCalls

__all__ = ["Services", "build_services", "expectations"]

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


@attrs.frozen(kw_only=True)
class Services:
    """The two services of a worker."""

    jobs: Service
    turn: VirtualObject


def build_services(names: Names, host: HostInfo, admin: AdminClient, run_job: RunJob) -> Services:
    """Build the services that Restate calls.

    Args:
        names: What they are called.
        host: For the step timeout and how long the record of a deleted tenant is kept.
        admin: Restate's admin API.
        run_job: Carries out a job.
    """
    pauses = Pauses()
    rivals = Rivals(admin=admin)
    # A step that outlives the abort timeout is started again while it still runs.
    abort_timeout = timedelta(seconds=2 * host.step_timeout)
    tenant_turn = VirtualObject(
        names.turn,
        abort_timeout=abort_timeout,
        idempotency_retention=COMPLETION_RETENTION,
        journal_retention=JOURNAL_RETENTION,
        invocation_retry_policy=RETRIES,
    )
    calls = _add_turn_handlers(tenant_turn, rivals, pauses, timedelta(seconds=host.keep_history))
    jobs = Service(
        names.service,
        abort_timeout=abort_timeout,
        idempotency_retention=COMPLETION_RETENTION,
        journal_retention=JOURNAL_RETENTION,
        invocation_retry_policy=RETRIES,
    )

    @jobs.handler("execute", accept="*/*", input_serde=BytesSerde(), output_serde=BytesSerde())
    async def execute(ctx: Context, body: bytes) -> bytes:
        """Carry out one job; the body is Landlord's ProvisionRequest."""
        steps = RestateSteps(
            execution_id=ctx.request().id,
            ctx=ctx,
            turn=calls,
            admin=admin,
            rivals=rivals,
            pauses=pauses,
        )
        try:
            return codec.dumps(await run_job(body, steps))
        except InvalidJob as error:
            raise TerminalError(str(error), status_code=error.status) from None
        except SdkInternalBaseException as error:
            raise _let_go(error) from None

    return Services(jobs=jobs, turn=tenant_turn)


def expectations(services: Services) -> tuple[Expected, ...]:
    """What Restate must show of these services once they are registered."""
    return tuple(_expected(service) for service in (services.jobs, services.turn))


def _expected(service: Service | VirtualObject) -> Expected:
    assert service.abort_timeout is not None, "build_services sets it"
    return Expected(
        name=service.name,
        handlers=frozenset(service.handlers),
        abort_timeout=service.abort_timeout.total_seconds(),
        idempotency_retention=COMPLETION_RETENTION.total_seconds(),
        journal_retention=JOURNAL_RETENTION.total_seconds(),
        max_interval=MAX_INTERVAL.total_seconds(),
        max_attempts=MAX_ATTEMPTS,
    )


def _let_go(suspended: SdkInternalBaseException) -> SdkInternalBaseException:
    """Free what a handler holds at once when Restate suspends it.

    The SDK does so by an error which a task of its own keeps, and the error's traceback keeps that
    task and every frame: a circle at each step of each job, for the garbage collector to find.
    """
    return suspended.with_traceback(None)


def _add_turn_handlers(
    tenant_turn: VirtualObject, rivals: Rivals, pauses: Pauses, keep_history: timedelta
) -> TurnCalls:
    raw = BytesSerde()

    @tenant_turn.handler("take", ingress_private=True, input_serde=raw, output_serde=raw)
    async def take(ctx: ObjectContext, wish: bytes) -> bytes:
        """Take the turn; answered once the holder has ended."""
        try:
            taken = await turn.take(ctx, rivals, pauses, codec.loads(wish, turn.Take))
        except SdkInternalBaseException as error:
            raise _let_go(error) from None
        return codec.dumps(taken)

    @tenant_turn.handler("forget", ingress_private=True, input_serde=raw)
    async def forget(ctx: ObjectContext, execution_id: bytes) -> None:
        """Clear the state of a tenant that has stayed deleted."""
        await turn.forget(ctx, execution_id.decode())

    @tenant_turn.handler("end", ingress_private=True, input_serde=raw)
    async def end(ctx: ObjectContext, transition: bytes) -> None:
        """Write down what a job did."""
        ended = codec.loads(transition, Transition)
        if await turn.end(ctx, ended):
            last = ended.execution_id.encode()
            ctx.object_send(forget, key=ctx.key(), arg=last, send_delay=keep_history)

    @tenant_turn.handler("status", kind="shared", output_serde=raw)
    async def status(ctx: ObjectSharedContext) -> bytes:
        """Show who holds the turn, where the tenant is, and its last transition."""
        state = await turn.load(ctx)
        return codec.dumps(
            turn.TurnStatus(
                tenant=ctx.key(),
                holder=state.holder,
                placements=state.record.placements,
                last=state.record.transitions[-1] if state.record.transitions else None,
            )
        )

    @tenant_turn.handler("history", kind="shared", output_serde=raw)
    async def history(ctx: ObjectSharedContext) -> bytes:
        """Show the tenant's last transitions, oldest first."""
        state = await turn.load(ctx)
        return shown(await turn.past(ctx), state.record.transitions)

    return TurnCalls(name=tenant_turn.name, take=take, end=end)
