"""One job's steps: nothing is journaled, the lock is a row, and the job sent last wins."""

from collections.abc import Awaitable, Callable
from contextlib import AbstractAsyncContextManager
from datetime import UTC, datetime, timedelta
from functools import partial
from typing import Protocol, TypeVar

import attrs

from landlord_engine_direct.store import JobState, Store, TenantLock
from landlord_engines_core.errors import ExecutionEnded, Superseded
from landlord_engines_core.models import JobStart, Record, Transition
from landlord_engines_core.steps import NONE_LOST, LostAttempts
from landlord_engines_core.tenants.order import Contender, IsWanted, gives_way

__all__ = ["DirectSteps", "Jobs"]

T = TypeVar("T")


class Jobs(Protocol):
    """The jobs of this process, as their steps see them."""

    def taking(self, tenant: str) -> AbstractAsyncContextManager[None]:
        """Let one job after the other take this tenant's lock."""

    async def give_way(self, job_id: int) -> None:
        """Stop this job if it runs, and return when nothing of it does."""


@attrs.frozen(kw_only=True)
class DirectSteps:
    """The steps of one job, the same for all its attempts."""

    job_id: int
    store: Store
    jobs: Jobs
    is_wanted: IsWanted

    @property
    def execution_id(self) -> str:
        """The row's id."""
        return str(self.job_id)

    async def run(self, name: str, action: Callable[[], Awaitable[T]], kind: type[T]) -> T:
        """Run the action: each attempt of a job runs all of them, since they converge."""
        _ = name, kind
        return await action()

    async def acquire(self, tenant: str, note: JobStart) -> Record:
        """Write this job into the tenant's lock once the one that is there has ended."""
        async with self.jobs.taking(tenant):
            lock = self.store.lock(tenant)
            if lock.job not in (0, self.job_id):
                await self._preempt(tenant, lock, note)
            record = self.store.lock(tenant).record.with_start(self.execution_id, note)
            self.store.keep(tenant, TenantLock(job=self.job_id, record=record))
            return record

    async def complete(self, tenant: str, transition: Transition) -> None:
        """Write what the job did into the record; it still has the lock."""
        record = self._lock(tenant).record.with_end(transition)
        self.store.keep(tenant, TenantLock(job=self.job_id, record=record))

    async def read_record(self, tenant: str) -> Record:
        """Read the record.

        Raises:
            ExecutionEnded: This job was killed.
        """
        record = self._lock(tenant).record
        if self.store.is_over(self.job_id):
            raise ExecutionEnded(f"job {self.job_id} was ended")
        return record

    async def lost_attempts(self) -> LostAttempts:
        """Nobody counts them: a job of a worker that was killed is taken up as it is."""
        return NONE_LOST

    async def _preempt(self, tenant: str, lock: TenantLock, note: JobStart) -> None:
        """Have the job that acquired the lock last give way, or give way to it."""
        me = Contender(operation=note.operation, dispatched=_moment(self.job_id))
        ask = partial(self.is_wanted, tenant)
        if await gives_way(me, self._holder(lock), is_uuid=note.is_uuid, is_wanted=ask):
            raise Superseded(f"job {lock.job} goes first")
        self.store.mark(lock.job, JobState.SUPERSEDED)
        await self.jobs.give_way(lock.job)

    def _holder(self, lock: TenantLock) -> Contender:
        """The job that acquired the lock last; one that is over without an end in the record was killed."""
        name = str(lock.job)
        began = (one.operation for one in lock.record.transitions if one.execution_id == name)
        killed = self.store.is_over(lock.job) and not lock.record.has_ended(name)
        return Contender(operation=next(began, ""), dispatched=_moment(lock.job), killed=killed)

    def _lock(self, tenant: str) -> TenantLock:
        lock = self.store.lock(tenant)
        has_begun = any(one.execution_id == self.execution_id for one in lock.record.transitions)
        me = Contender(operation="", dispatched=_moment(self.job_id))
        if lock.job != self.job_id and (has_begun or self._holder(lock).is_later_than(me)):
            raise Superseded(f"job {lock.job} goes first")
        return lock


def _moment(job_id: int) -> datetime:
    """A time in the order of dispatch: one file gives ids in that order, and needs no clock."""
    return datetime.fromtimestamp(0, UTC) + timedelta(seconds=job_id)
