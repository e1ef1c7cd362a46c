"""Handlers of the lock's virtual object."""

from collections.abc import Awaitable, Callable
from functools import partial

import attrs
from restate import ObjectContext, ObjectSharedContext, VirtualObject
from restate.serde import BytesSerde

from landlord_engines_core import codec
from landlord_engines_core.models import Transition
from landlord_engines_restate.journal import run_handler
from landlord_engines_restate.lock import protocol
from landlord_engines_restate.lock.claims import Claims
from landlord_engines_restate.lock.follow_ups import FORGET, RESYNC, FollowUps
from landlord_engines_restate.lock.history import render_history
from landlord_engines_restate.lock.open_jobs import OpenJobs
from landlord_engines_restate.lock.state import (
    AcquireRequest,
    ResyncRequest,
    TenantStatus,
    load_history,
    load_state,
)

__all__ = ["LockCalls", "LockHandlers"]


@attrs.frozen(kw_only=True)
class LockCalls:
    """The lock's handlers that a job calls.

    Attributes:
        name: The virtual object's name.
    """

    name: str
    acquire: Callable[..., Awaitable[bytes]]
    complete: Callable[..., Awaitable[None]]
    resync: Callable[..., Awaitable[bytes]]


@attrs.frozen(kw_only=True)
class LockHandlers:
    """Handlers of the lock; each one parses its request and passes it to `protocol`."""

    claims: Claims
    follow_ups: FollowUps
    open_jobs: OpenJobs

    def add_to(self, tenant_lock: VirtualObject) -> LockCalls:
        """Add the handlers to the virtual object, and return those that a job calls."""
        raw = BytesSerde()
        # Restate's ingress rejects outside calls of these handlers.
        private = partial(tenant_lock.handler, ingress_private=True, input_serde=raw)
        private(FORGET)(self.forget)
        tenant_lock.handler("status", kind="shared", output_serde=raw)(self.status)
        tenant_lock.handler("history", kind="shared", output_serde=raw)(self.history)
        return LockCalls(
            name=tenant_lock.name,
            acquire=private("acquire", output_serde=raw)(self.acquire),
            complete=private("complete")(self.complete),
            resync=private(RESYNC, output_serde=raw)(self.resync),
        )

    async def acquire(self, ctx: ObjectContext, request: bytes) -> bytes:
        """Acquire the lock; answered once the holder has ended."""
        send_resync = partial(self.follow_ups.send_resync, ctx)
        acquiring = protocol.acquire(
            ctx, self.claims, codec.loads(request, AcquireRequest), send_resync
        )
        return codec.dumps(await run_handler(acquiring))

    async def complete(self, ctx: ObjectContext, transition: bytes) -> None:
        """Record the end of a job."""
        result = await protocol.complete(ctx, codec.loads(transition, Transition))
        self.follow_ups.send_after_end(ctx, result)

    async def resync(self, ctx: ObjectContext, request: bytes) -> bytes:
        """Acquire the lock to resync the tenant; answered at once."""
        acquiring = protocol.resync(ctx, self.claims, codec.loads(request, ResyncRequest))
        return codec.dumps(await run_handler(acquiring))

    async def forget(self, ctx: ObjectContext, execution_id: bytes) -> None:
        """Clear the state of a tenant that has stayed deleted."""
        await run_handler(protocol.forget(ctx, self.claims, execution_id.decode()))

    async def status(self, ctx: ObjectSharedContext) -> bytes:
        """Show the lock's holder, the tenant's placements, its last transition, and its open jobs."""
        state = await load_state(ctx)
        return codec.dumps(
            TenantStatus(
                tenant=ctx.key(),
                holder=state.holder,
                resync=state.resync,
                placements=state.record.placements,
                last=state.record.transitions[-1] if state.record.transitions else None,
                jobs=await self.open_jobs.list_jobs(ctx.key(), state.running_job()),
            )
        )

    async def history(self, ctx: ObjectSharedContext) -> bytes:
        """Show the tenant's last transitions, oldest first, and the state of an open job."""
        state = await load_state(ctx)
        holder = state.running_job()
        jobs = await self.open_jobs.list_jobs(ctx.key(), holder) if holder else ()
        return render_history(await load_history(ctx), state.record.transitions, jobs)
