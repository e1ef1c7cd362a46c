"""A job's steps on Restate: journaled runs, the lock as one call, the end as one send."""

from collections.abc import Awaitable, Callable
from typing import TypeVar

import attrs
from restate import Context

from landlord_engines_core import codec
from landlord_engines_core.errors import EngineError, StillRunning, Superseded, Transient
from landlord_engines_core.models import JobStart, Record, Transition
from landlord_engines_core.steps import LostAttempts
from landlord_engines_restate import journal
from landlord_engines_restate.crash_loops import AttemptLosses
from landlord_engines_restate.lock import AcquireRequest, AcquireResponse, ResyncRequest
from landlord_engines_restate.ordering import DispatchOrder
from landlord_engines_restate.states import LockStates

__all__ = ["LockCalls", "RestateSteps", "ResyncSteps"]

T = TypeVar("T")


@attrs.frozen(kw_only=True)
class LockCalls:
    """The lock as a job uses it.

    Attributes:
        name: The virtual object's name.
        acquire: Its handler ``acquire``.
        complete: Its handler ``complete``.
        resync: Its handler ``resync``.
    """

    name: str
    acquire: Callable[..., Awaitable[bytes]]
    complete: Callable[..., Awaitable[None]]
    resync: Callable[..., Awaitable[bytes]]


@attrs.frozen(kw_only=True)
class RestateSteps:
    """The steps of one job; made anew each time that its handler is entered."""

    execution_id: str
    ctx: Context
    lock: LockCalls
    states: LockStates
    order: DispatchOrder
    pauses: journal.Pauses
    losses: AttemptLosses

    async def run(self, name: str, action: Callable[[], Awaitable[T]], kind: type[T]) -> T:
        """Run a step in Restate's journal."""
        return await journal.run(self.ctx, self.pauses, name, action, kind)

    async def acquire(self, tenant: str, note: JobStart) -> Record:
        """Call the lock; it answers once the holder has ended."""
        request = codec.dumps(AcquireRequest(execution_id=self.execution_id, note=note))
        return _taken(await self.ctx.object_call(self.lock.acquire, key=tenant, arg=request))

    async def complete(self, tenant: str, transition: Transition) -> None:
        """Send the end to the lock; a call could wait for ever behind the next job's ``acquire``."""
        self.ctx.object_send(self.lock.complete, key=tenant, arg=codec.dumps(transition))

    async def read_record(self, tenant: str) -> Record:
        """Read the lock's state over the admin API: an action has no context to call with."""
        try:
            state = await self.states.read(tenant)
            await self.order.check(self.execution_id, state.holder, state.record)
        except EngineError as error:
            raise Transient(error.message, hint=error.hint) from error
        return state.record

    async def lost_attempts(self) -> LostAttempts:
        """Count them by what Restate keeps of failed attempts."""
        return await self.losses.count(self.execution_id)


@attrs.frozen(kw_only=True)
class ResyncSteps(RestateSteps):
    """The steps with which a tenant is resynced: they give way to every job.

    Attributes:
        after: The job whose end it follows.
    """

    after: str

    async def acquire(self, tenant: str, note: JobStart) -> Record:
        """Call the lock; it answers at once."""
        request = ResyncRequest(execution_id=self.execution_id, after=self.after, note=note)
        call = self.ctx.object_call(self.lock.resync, key=tenant, arg=codec.dumps(request))
        return _taken(await call)

    async def read_record(self, tenant: str) -> Record:
        """Read the lock's state, in which the job must still be the last, and have ended."""
        try:
            state = await self.states.read(tenant)
            if rival := state.rival(self.after):
                raise Superseded(f"{rival} acquired the lock")
            if not state.is_over(self.after) and await self.order.fate(self.after) != "failure":
                raise StillRunning(f"{self.after} has not ended yet, or has yet to write its end")
        except EngineError as error:
            raise Transient(error.message, hint=error.hint) from error
        return state.record


def _taken(answer: bytes) -> Record:
    taken = codec.loads(answer, AcquireResponse)
    if taken.superseded_by:
        raise Superseded(f"{taken.superseded_by} was dispatched later")
    return taken.record
