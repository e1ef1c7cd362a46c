"""Steps of one job. There is no journal, the tenant lock is a row, and the job sent last gets it."""

from collections.abc import Awaitable, Callable
from contextlib import AbstractAsyncContextManager
from functools import partial
from typing import Protocol, TypeVar

import attrs

from landlord_engine_direct.store import JobState, Store, TenantLock
from landlord_engines_core.api import (
    NONE_LOST,
    Contender,
    ExecutionEnded,
    IsDesired,
    JobStart,
    LostAttempts,
    Record,
    Superseded,
    Transition,
    describe_holder,
    is_superseded,
    order_time,
    refuse_superseded,
)

__all__ = ["DirectSteps", "Jobs"]

T = TypeVar("T")


class Jobs(Protocol):
    """Jobs of this process, as their steps see them."""

    def acquisition_lock(self, tenant: str) -> AbstractAsyncContextManager[None]:
        """Return the mutex under which jobs acquire this tenant's lock."""

    async def stop(self, job_id: int) -> None:
        """Stop this job if it runs, and wait for its end."""


@attrs.frozen(kw_only=True)
class DirectSteps:
    """Steps of one job, shared by all its attempts."""

    job_id: int
    store: Store
    jobs: Jobs
    is_desired: IsDesired

    @property
    def execution_id(self) -> str:
        """Id of the job's row."""
        return str(self.job_id)

    async def run(self, name: str, action: Callable[[], Awaitable[T]], kind: type[T]) -> T:
        """Run the action. Every attempt repeats all actions, which is safe because they converge."""
        _ = name, kind
        return await action()

    async def acquire(self, tenant: str, start: JobStart) -> Record:
        """Make this job the holder, once the previous holder has ended."""
        async with self.jobs.acquisition_lock(tenant):
            lock = self.store.lock(tenant)
            if lock.job not in (0, self.job_id):
                await self._preempt(tenant, lock, start)
            record = self.store.lock(tenant).record.with_start(self.execution_id, start)
            self.store.write_lock(tenant, TenantLock(job=self.job_id, record=record))
            return record

    async def complete(self, tenant: str, transition: Transition) -> None:
        """Write the transition into the record; the job keeps the lock."""
        record = self._read_lock(tenant).record.with_end(transition)
        self.store.write_lock(tenant, TenantLock(job=self.job_id, record=record))

    async def read_record(self, tenant: str) -> Record:
        """Read the record.

        Raises:
            ExecutionEnded: This job was killed.
        """
        record = self._read_lock(tenant).record
        if self.store.has_ended(self.job_id):
            raise ExecutionEnded(f"job {self.job_id} was ended")
        return record

    async def lost_attempts(self) -> LostAttempts:
        """Report none: this backend does not count them."""
        return NONE_LOST

    async def _preempt(self, tenant: str, lock: TenantLock, start: JobStart) -> None:
        """Stop the holder, or raise Superseded if the holder goes first."""
        this_job = Contender(operation=start.operation, dispatched=order_time(self.job_id))
        is_desired = partial(self.is_desired, tenant)
        if await is_superseded(
            this_job, self._describe_holder(lock), is_uuid=start.is_uuid, is_desired=is_desired
        ):
            raise Superseded(f"job {lock.job} goes first")
        self.store.mark(lock.job, JobState.SUPERSEDED)
        await self.jobs.stop(lock.job)

    def _describe_holder(self, lock: TenantLock) -> Contender:
        """Describe the job that acquired the lock last."""
        return describe_holder(
            lock.record,
            str(lock.job),
            dispatched=order_time(lock.job),
            has_ended=self.store.has_ended(lock.job),
        )

    def _read_lock(self, tenant: str) -> TenantLock:
        """Read the tenant's lock, or raise Superseded if a later job acquired it."""
        lock = self.store.lock(tenant)
        if lock.job != self.job_id:
            refuse_superseded(
                lock.record,
                self.execution_id,
                dispatched=order_time(self.job_id),
                holder=self._describe_holder(lock),
            )
        return lock
