"""Steps of one job. There is no journal, the tenant lock is a row, and the job sent last wins."""

from collections.abc import Awaitable, Callable
from contextlib import AbstractAsyncContextManager
from datetime import UTC, datetime, timedelta
from functools import partial
from typing import Protocol, TypeVar

import attrs

from landlord_engine_direct.store import JobState, Store, TenantLock
from landlord_engines_core.api import (
    NONE_LOST,
    Contender,
    ExecutionEnded,
    IsWanted,
    JobStart,
    LostAttempts,
    Record,
    Superseded,
    Transition,
    is_superseded,
)

__all__ = ["DirectSteps", "Jobs"]

T = TypeVar("T")


class Jobs(Protocol):
    """Jobs of this process, as their steps see them."""

    def acquiring(self, tenant: str) -> AbstractAsyncContextManager[None]:
        """Let one job after the other acquire this tenant's lock."""

    async def stop(self, job_id: int) -> None:
        """Stop this job if it runs, and wait for its end."""


@attrs.frozen(kw_only=True)
class DirectSteps:
    """Steps of one job, the same for all its attempts."""

    job_id: int
    store: Store
    jobs: Jobs
    is_wanted: IsWanted

    @property
    def execution_id(self) -> str:
        """Id of the job's row."""
        return str(self.job_id)

    async def run(self, name: str, action: Callable[[], Awaitable[T]], kind: type[T]) -> T:
        """Run the action. Each attempt of a job runs all its actions, since they converge."""
        _ = name, kind
        return await action()

    async def acquire(self, tenant: str, start: JobStart) -> Record:
        """Write this job into the tenant's lock, once the holder has ended."""
        async with self.jobs.acquiring(tenant):
            lock = self.store.lock(tenant)
            if lock.job not in (0, self.job_id):
                await self._preempt(tenant, lock, start)
            record = self.store.lock(tenant).record.with_start(self.execution_id, start)
            self.store.write_lock(tenant, TenantLock(job=self.job_id, record=record))
            return record

    async def complete(self, tenant: str, transition: Transition) -> None:
        """Write the transition into the record; the job still has the lock."""
        record = self._lock(tenant).record.with_end(transition)
        self.store.write_lock(tenant, TenantLock(job=self.job_id, record=record))

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
        """Report none: this backend does not count them."""
        return NONE_LOST

    async def _preempt(self, tenant: str, lock: TenantLock, start: JobStart) -> None:
        """Stop the holder, or raise Superseded where it goes first."""
        me = Contender(operation=start.operation, dispatched=_moment(self.job_id))
        ask = partial(self.is_wanted, tenant)
        if await is_superseded(me, self._holder(lock), is_uuid=start.is_uuid, is_wanted=ask):
            raise Superseded(f"job {lock.job} goes first")
        self.store.mark(lock.job, JobState.SUPERSEDED)
        await self.jobs.stop(lock.job)

    def _holder(self, lock: TenantLock) -> Contender:
        """Describe the job that acquired the lock last."""
        name = str(lock.job)
        operations = (
            transition.operation
            for transition in lock.record.transitions
            if transition.execution_id == name
        )
        # A job that is over, without an end in the record, was killed.
        killed = self.store.is_over(lock.job) and not lock.record.has_ended(name)
        return Contender(
            operation=next(operations, ""), dispatched=_moment(lock.job), killed=killed
        )

    def _lock(self, tenant: str) -> TenantLock:
        lock = self.store.lock(tenant)
        has_begun = any(
            transition.execution_id == self.execution_id for transition in lock.record.transitions
        )
        me = Contender(operation="", dispatched=_moment(self.job_id))
        if lock.job != self.job_id and (has_begun or self._holder(lock).is_later_than(me)):
            raise Superseded(f"job {lock.job} goes first")
        return lock


def _moment(job_id: int) -> datetime:
    """Turn a job's id into a time of dispatch."""
    # The file gives ids in the order of dispatch, so that no clock is needed.
    return datetime.fromtimestamp(0, UTC) + timedelta(seconds=job_id)
