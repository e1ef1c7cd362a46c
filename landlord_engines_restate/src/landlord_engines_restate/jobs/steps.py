"""A job's steps on Restate: journaled runs, one call for the lock, one message for the end."""

from collections.abc import Awaitable, Callable
from typing import TypeVar

import attrs
from restate import Context

from landlord_engines_core import codec
from landlord_engines_core.errors import EngineError, StillRunning, Superseded, Transient
from landlord_engines_core.models import JobStart, Record, Transition
from landlord_engines_core.steps import LostAttempts
from landlord_engines_restate import journal
from landlord_engines_restate.jobs.crash_loops import AttemptLosses
from landlord_engines_restate.lock.handlers import LockCalls
from landlord_engines_restate.lock.ordering import DispatchOrder
from landlord_engines_restate.lock.reader import LockReader
from landlord_engines_restate.lock.state import AcquireRequest, AcquireResponse, ResyncRequest

__all__ = ["RestateSteps", "ResyncSteps", "SharedObjects"]

T = TypeVar("T")


@attrs.frozen(kw_only=True)
class SharedObjects:
    """Objects that the steps of all jobs share."""

    lock: LockCalls
    reader: LockReader
    order: DispatchOrder
    pauses: journal.Pauses
    losses: AttemptLosses


@attrs.frozen(kw_only=True)
class RestateSteps:
    """Steps of one attempt of a job."""

    execution_id: str
    ctx: Context
    shared: SharedObjects

    async def run(self, name: str, action: Callable[[], Awaitable[T]], kind: type[T]) -> T:
        """Run a step in Restate's journal."""
        return await journal.run(self.ctx, self.shared.pauses, name, action, kind)

    async def acquire(self, tenant: str, start: JobStart) -> Record:
        """Call the lock, which answers once the holder has ended."""
        request = codec.dumps(AcquireRequest(execution_id=self.execution_id, note=start))
        call = self.ctx.object_call(self.shared.lock.acquire, key=tenant, arg=request)
        return _read_record(await call)

    async def complete(self, tenant: str, transition: Transition) -> None:
        """Send the end to the lock."""
        # A call would deadlock: it would queue behind the next job's acquire, which waits for this job.
        self.ctx.object_send(self.shared.lock.complete, key=tenant, arg=codec.dumps(transition))

    async def read_record(self, tenant: str) -> Record:
        """Read the lock's state over the admin API, because a running step cannot call the lock."""
        try:
            state = await self.shared.reader.read(tenant)
            await self.shared.order.check_current(self.execution_id, state.holder, state.record)
        except EngineError as error:
            # Superseded and StillRunning are job errors, and pass.
            raise Transient(error.message, hint=error.hint) from error
        return state.record

    async def lost_attempts(self) -> LostAttempts:
        """Count the attempts of this job whose worker died during them."""
        return await self.shared.losses.count(self.execution_id)


@attrs.frozen(kw_only=True)
class ResyncSteps(RestateSteps):
    """Steps of a tenant's resync, which every job preempts.

    Attributes:
        resynced_id: Id of the job that the resync follows.
    """

    resynced_id: str

    async def acquire(self, tenant: str, start: JobStart) -> Record:
        """Call the lock, which answers at once."""
        request = ResyncRequest(execution_id=self.execution_id, after=self.resynced_id, note=start)
        call = self.ctx.object_call(self.shared.lock.resync, key=tenant, arg=codec.dumps(request))
        return _read_record(await call)

    async def read_record(self, tenant: str) -> Record:
        """Read the lock's state; the resynced job must have ended and still be the tenant's last job.

        Raises:
            Superseded: A later job acquired the lock.
            StillRunning: The resynced job has not ended.
            Transient: Restate's admin API gave no usable response.
        """
        order = self.shared.order
        try:
            state = await self.shared.reader.read(tenant)
            if later := state.later_job(self.resynced_id):
                raise Superseded(f"{later} acquired the lock")
            if not state.has_ended(self.resynced_id) and not await order.has_failed(
                self.resynced_id
            ):
                raise StillRunning(
                    f"{self.resynced_id} has not ended, or has not recorded its end yet"
                )
        except EngineError as error:
            # Superseded and StillRunning are job errors, and pass.
            raise Transient(error.message, hint=error.hint) from error
        return state.record


def _read_record(answer: bytes) -> Record:
    response = codec.loads(answer, AcquireResponse)
    if response.superseded_by:
        raise Superseded(f"{response.superseded_by} was dispatched later")
    return response.record
