"""The engine: one task for each unfinished job in the file."""

import asyncio
from collections.abc import Callable
from contextlib import AbstractAsyncContextManager, closing
from itertools import count
from pathlib import Path
from weakref import WeakValueDictionary

import attrs

from landlord_engine_direct.steps import DirectSteps
from landlord_engine_direct.store import Job, JobState, Store
from landlord_engines_core.api import (
    Capability,
    Duration,
    Ended,
    EngineContext,
    EngineInfo,
    JobTasks,
    Refused,
    Registration,
    RegistrationState,
    Retry,
    SettingsError,
    Support,
    WorkerEngine,
    pause,
    run_attempt,
)

__all__ = ["INFO", "DirectEngine", "DirectSettings", "create_engine"]

INFO = EngineInfo(name="direct", contract=1, capabilities={Capability.TENANT_LOCK: Support.FULL})


@attrs.frozen(kw_only=True)
class DirectSettings:
    """The section ``workflow.direct``.

    Attributes:
        path: The SQLite file; the engine creates it if it is missing.
        poll_interval: Seconds between two polls of the file; SQLite does not announce new rows.
    """

    path: str = ""
    poll_interval: Duration = Duration(0.1)


@attrs.define(kw_only=True)
class DirectEngine(WorkerEngine):
    """Runs the jobs of one file. Each job continues after a restart of the worker."""

    settings: DirectSettings
    context: EngineContext
    _stopping: asyncio.Event = attrs.field(factory=asyncio.Event, init=False)
    _tasks: JobTasks[int] = attrs.field(factory=JobTasks, init=False)
    _locks: WeakValueDictionary[str, asyncio.Lock] = attrs.field(
        factory=WeakValueDictionary, init=False
    )

    async def serve(self, started: Callable[[], None]) -> None:
        """Start new jobs and stop killed ones, until `shutdown`."""
        with closing(Store(Path(self.settings.path))) as store, store.lock_file():
            started()
            # An error that is not a job's ends the group, and with it the worker.
            async with asyncio.TaskGroup() as group:
                while not self._stopping.is_set():
                    if store.has_changed():
                        self._update_tasks(store, group)
                    await pause(self.settings.poll_interval, self._stopping)

    async def register(self) -> Registration:
        """Report the file from which this worker reads jobs."""
        return Registration(
            state=RegistrationState.REGISTERED, detail=f"jobs are read from {self.settings.path}"
        )

    async def shutdown(self, grace: float) -> None:
        """Start no new job, and wait for running attempts; a cancelled attempt is repeated later."""
        self._stopping.set()
        await self._tasks.drain(grace)

    def acquisition_lock(self, tenant: str) -> AbstractAsyncContextManager[None]:
        """Return the mutex under which jobs of this process acquire the tenant's lock."""
        return self._locks.setdefault(tenant, asyncio.Lock())

    async def stop(self, job_id: int) -> None:
        """Stop a job for a younger job of its tenant, and wait for its end."""
        await self._tasks.stop(job_id)

    def _update_tasks(self, store: Store, group: asyncio.TaskGroup) -> None:
        """Cancel the tasks of finished jobs, and start tasks for new jobs."""
        unfinished = store.unfinished()
        self._tasks.cancel(self._tasks.running.difference(unfinished))
        for job_id, job in unfinished.items():
            if job_id not in self._tasks:
                self._tasks.start(group, job_id, self._run_job(store, job))

    async def _run_job(self, store: Store, job: Job) -> None:
        """Run attempts of a job until the job or this worker ends."""
        steps = DirectSteps(
            job_id=job.id, store=store, jobs=self, is_desired=self.context.is_desired
        )
        attempts = count(1)
        while not self._stopping.is_set():
            attempt = next(attempts)
            store.mark(job.id, JobState.RUNNING, attempts=job.attempts + attempt)
            match await run_attempt(self.context.run_job(job.body, steps), attempt):
                case Ended():
                    store.mark(job.id, JobState.COMPLETED)
                    return
                case Refused(reason=reason):
                    store.mark(job.id, JobState.REFUSED, reason=reason)
                    return
                case Retry(pause=seconds, reason=reason):
                    store.mark(job.id, JobState.BACKING_OFF, reason=reason)
                    await pause(seconds, self._stopping)


def create_engine(context: EngineContext) -> DirectEngine:
    """Create the engine.

    Raises:
        SettingsError: The settings name no file.
    """
    settings: DirectSettings = context.settings
    if not settings.path:
        raise SettingsError(
            "workflow.direct.path is missing", hint="name the SQLite file with the jobs"
        )
    return DirectEngine(settings=settings, context=context)
