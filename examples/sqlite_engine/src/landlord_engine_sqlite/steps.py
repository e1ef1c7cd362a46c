"""The steps of jobs and resyncs: a journal, and a row as the tenant's lock."""

import asyncio
from collections.abc import Awaitable, Callable
from functools import partial
from typing import TypeVar

import attrs

from landlord_engine_sqlite.store import Job, Lock, Store
from landlord_engines_core.api import (
    NONE_LOST,
    Contender,
    ExecutionEnded,
    IsDesired,
    JobStart,
    LostAttempts,
    Operation,
    Record,
    StillRunning,
    Superseded,
    Transition,
    codec,
    describe_holder,
    is_superseded,
    order_time,
    plan_resync,
    refuse_superseded,
)

__all__ = ["ResyncSteps", "SqliteSteps"]

T = TypeVar("T")

_LOOK = 0.05
"""Seconds between two looks at a preempted holder."""


@attrs.frozen(kw_only=True)
class SqliteSteps:
    """The steps of one attempt. Each write checks that the attempt still has the lease."""

    job: Job
    store: Store
    is_desired: IsDesired
    resync_after: float

    @property
    def execution_id(self) -> str:
        """Return the row's id."""
        return str(self.job.id)

    async def run(self, name: str, action: Callable[[], Awaitable[T]], kind: type[T]) -> T:
        """Return the value that an earlier attempt journaled, or run the action and journal its value."""
        if (value := self.store.journaled(self.job.id, name)) is not None:
            return codec.loads(value, kind)
        done = await action()
        with self.store.transaction():
            self._check_lease()
            self.store.write_journal(self.job.id, name, codec.dumps(done))
        return done

    async def acquire(self, tenant: str, start: JobStart) -> Record:
        """Acquire the lock once its holder, and the resync of that holder's job, have ended."""
        while True:
            before = self.store.lock(tenant)
            if before.job not in (0, self.job.id):
                await self._preempt(tenant, before, start)
            with self.store.transaction():
                self._check_lease()
                # Another process may have acquired the lock while this one waited.
                lock = self.store.lock(tenant)
                if (lock.job, lock.resync) == (before.job, before.resync):
                    return self._write_lock(tenant, lock, start)

    def _write_lock(self, tenant: str, lock: Lock, start: JobStart) -> Record:
        record = lock.record.with_start(self.execution_id, start)
        self.store.write_lock(tenant, Lock(job=self.job.id, record=record))
        if lock.job != self.job.id:
            preempted = lock.job != 0 and not lock.record.has_ended(str(lock.job))
            planned = plan_resync(
                record,
                tenant=tenant,
                execution_id=self.execution_id,
                operation=start.operation,
                after=self.resync_after,
                preempted=preempted,
            )
            self.store.send_resync(planned)
        return record

    async def _preempt(self, tenant: str, lock: Lock, start: JobStart) -> None:
        """Preempt the job that acquired the lock last, or end this one if it is the older job."""
        me = Contender(operation=start.operation, dispatched=order_time(self.job.id))
        holder, ask = self._holder(lock), partial(self.is_desired, tenant)
        if await is_superseded(me, holder, is_uuid=start.is_uuid, is_desired=ask):
            deletes = Operation.DELETE in (start.operation, holder.operation)
            if lock.record.has_ended(str(lock.job)) and deletes:
                planned = plan_resync(
                    lock.record,
                    tenant=tenant,
                    execution_id=str(lock.job),
                    operation=holder.operation,
                    after=self.resync_after,
                    overrode_delete=True,
                )
                self.store.send_resync(planned)
            raise Superseded(f"job {lock.job} goes first")
        for rival in filter(None, (lock.job, lock.resync)):
            self.store.stop(rival, "superseded")
            await _wait_freed(self.store, rival)

    async def complete(self, tenant: str, transition: Transition) -> None:
        """Write a transition into the record, if this job is still the holder."""
        with self.store.transaction():
            self._check_lease()
            lock = self._lock(tenant)
            self.store.write_lock(
                tenant, attrs.evolve(lock, record=lock.record.with_end(transition))
            )

    async def read_record(self, tenant: str) -> Record:
        """Read the record."""
        lock = self._lock(tenant)
        row = self.store.job(self.job.id)
        if row is not None and not row.is_open:
            raise ExecutionEnded(f"job {self.job.id} is {row.state}")
        self._check_lease()
        return lock.record

    async def lost_attempts(self) -> LostAttempts:
        """Return none: the queue does not count lost attempts."""
        return NONE_LOST

    def _lock(self, tenant: str) -> Lock:
        lock = self.store.lock(tenant)
        if lock.job != self.job.id:
            refuse_superseded(
                lock.record,
                self.execution_id,
                dispatched=order_time(self.job.id),
                holder=self._holder(lock),
            )
        return lock

    def _holder(self, lock: Lock) -> Contender:
        """Return the job that acquired the lock last."""
        row = self.store.job(lock.job)
        return describe_holder(
            lock.record,
            str(lock.job),
            dispatched=order_time(lock.job),
            has_ended=row is not None and not row.is_open,
        )

    def _check_lease(self) -> None:
        row = self.store.job(self.job.id)
        if row is None or not row.is_leased or row.attempt != self.job.attempt:
            raise Superseded(f"another attempt goes on with job {self.job.id}")


@attrs.frozen(kw_only=True)
class ResyncSteps(SqliteSteps):
    """The steps of the resync ``after`` a job; every job preempts them."""

    after: int

    async def acquire(self, tenant: str, start: JobStart) -> Record:
        """Acquire the lock beside the job that had it, at once or not at all."""
        with self.store.transaction():
            lock = self._lock(tenant)
            record = lock.record.with_placement(start.placement)
            self.store.write_lock(tenant, attrs.evolve(lock, resync=self.job.id, record=record))
        return record

    async def read_record(self, tenant: str) -> Record:
        """Read the record once the job has ended."""
        row = self.store.job(self.after)
        if row is not None and (row.is_open or row.is_leased):
            raise StillRunning(f"job {self.after} has not ended yet")
        return self._lock(tenant).record

    def _lock(self, tenant: str) -> Lock:
        self._check_lease()
        lock = self.store.lock(tenant)
        row = self.store.job(self.job.id)
        if lock.job != self.after or row is None or not row.is_open:
            raise Superseded(f"job {lock.job} took the lock")
        return lock


async def _wait_freed(store: Store, job_id: int) -> None:
    """Poll until no task can be working on a job; the queue sends no events."""
    while (row := store.job(job_id)) is not None and row.is_leased:  # noqa: ASYNC110  # see above
        await asyncio.sleep(_LOOK)
