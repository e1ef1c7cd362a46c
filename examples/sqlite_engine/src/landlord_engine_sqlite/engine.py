"""The engine: a task for each job that this process has leased."""

import asyncio
from collections.abc import AsyncGenerator, Callable, Collection
from contextlib import closing, suppress
from pathlib import Path
from uuid import uuid4

import attrs

from landlord_engine_sqlite.steps import ResyncSteps, SqliteSteps
from landlord_engine_sqlite.store import Job, Store
from landlord_engine_sqlite.tenants import list_tenants, read_tenant
from landlord_engines_core.api import (
    Capability,
    CompletedJob,
    Duration,
    Ended,
    EngineContext,
    EngineInfo,
    JobTasks,
    Lease,
    Refused,
    Registration,
    RegistrationState,
    Support,
    TenantStatus,
    WorkerEngine,
    codec,
    pause,
    run_attempt,
)

__all__ = ["INFO", "SqliteEngine", "SqliteSettings", "create_engine"]

INFO = EngineInfo(
    name="sqlite",
    contract=1,
    capabilities={
        Capability.TENANT_LOCK: Support.FULL,
        Capability.JOURNAL: Support.FULL,
        Capability.RESYNC: Support.FULL,
        Capability.RECORDS: Support.FULL,
        Capability.RETRY: Support.FULL,
    },
)


@attrs.frozen(kw_only=True)
class SqliteSettings:
    """The section ``workflow.sqlite``.

    Attributes:
        path: The SQLite file. The engine creates it, readable for its own user only.
        poll_interval: The interval between two reads of the file; SQLite announces no new rows.
        lease: The time without an extension after which another process may take a job.
    """

    path: str = "landlord-queue.db"
    poll_interval: Duration = Duration(0.1)
    lease: Duration = Duration(5.0)


@attrs.define(kw_only=True)
class SqliteEngine(WorkerEngine):
    """A worker engine for the jobs of one file, which other processes may share."""

    settings: SqliteSettings
    context: EngineContext
    _owner: str = attrs.field(factory=lambda: uuid4().hex, init=False)
    _stopping: asyncio.Event = attrs.field(factory=asyncio.Event, init=False)
    _tasks: JobTasks[tuple[int, int]] = attrs.field(factory=JobTasks, init=False)

    async def serve(self, started: Callable[[], None]) -> None:
        """Extend leases, stop ended jobs and start due ones, until `shutdown`."""
        with closing(Store(Path(self.settings.path))) as store:
            started()
            async with asyncio.TaskGroup() as group:
                keeping = group.create_task(self._lease(store).keep())
                while not self._stopping.is_set():
                    self._start_due_jobs(store, group)
                    await pause(self.settings.poll_interval, self._stopping)
                await self._tasks.wait_ended()
                keeping.cancel()

    async def register(self) -> Registration:
        """Report the worker as registered, because every writer of the file reaches it."""
        return Registration(state=RegistrationState.REGISTERED, detail=self.settings.path)

    async def shutdown(self, grace: float) -> None:
        """Start no more jobs; running ones may finish within the drain, or continue on another worker."""
        self._stopping.set()
        await self._tasks.drain(grace)

    async def list_tenants(self) -> AsyncGenerator[TenantStatus, None]:
        """List the tenants of the file."""
        with closing(Store(Path(self.settings.path))) as store:
            for tenant in list_tenants(store):
                yield tenant

    async def read_tenant(self, tenant: str) -> TenantStatus:
        """Read one tenant of the file."""
        with closing(Store(Path(self.settings.path))) as store:
            return read_tenant(store, tenant)

    async def retry_job(self, execution_id: str) -> bool:
        """Make a job due at once; a worker sees it at its next poll."""
        with closing(Store(Path(self.settings.path))) as store:
            return store.make_due(int(execution_id))

    def _lease(self, store: Store) -> Lease[tuple[int, int]]:
        async def extend(running: Collection[tuple[int, int]]) -> Collection[tuple[int, int]]:
            return store.extend(self._owner, running, self.settings.lease)

        return Lease(
            tasks=self._tasks,
            extend=extend,
            duration=self.settings.lease,
            interval=self.settings.poll_interval,
        )

    def _start_due_jobs(self, store: Store, group: asyncio.TaskGroup) -> None:
        while (job := store.claim(self._owner, self.settings.lease)) is not None:
            self._tasks.start(group, (job.id, job.attempt), self._run_attempt(store, job))

    async def _run_attempt(self, store: Store, job: Job) -> None:
        """Run one attempt, and release its lease once the task has ended."""
        with suppress(asyncio.CancelledError):
            match await run_attempt(self._run(store, job), job.attempt):
                case Ended():
                    store.release(job, "done")
                case Refused(reason=reason):
                    store.release(job, "refused", reason)
                case retry:
                    store.release(job, "open", retry.reason, retry.pause)
        # A cancelled job that has not ended continues on another worker.
        store.release(job, "open")

    async def _run(self, store: Store, job: Job) -> None:
        context, after = self.context, self.context.host.resync_after
        is_desired = context.is_desired
        if job.kind == "job":
            steps = SqliteSteps(job=job, store=store, is_desired=is_desired, resync_after=after)
            await context.run_job(job.body, steps)
            return
        ended = codec.loads(job.body, CompletedJob)
        resync = ResyncSteps(
            job=job,
            store=store,
            is_desired=is_desired,
            resync_after=0,
            after=int(ended.execution_id),
        )
        store.send_resync((await context.resync(ended, resync)).follow_up)


def create_engine(context: EngineContext) -> SqliteEngine:
    """Create the engine."""
    return SqliteEngine(settings=context.settings, context=context)
