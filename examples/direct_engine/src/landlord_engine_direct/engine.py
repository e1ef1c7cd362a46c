"""The engine: a task for each job in the file that is not over."""

import asyncio
from collections.abc import Callable
from contextlib import AbstractAsyncContextManager, closing
from functools import partial
from pathlib import Path
from weakref import WeakValueDictionary

import attrs

from landlord_engine_direct.steps import DirectSteps
from landlord_engine_direct.store import Job, JobState, Store
from landlord_engines_core.engine import (
    Capability,
    EngineContext,
    EngineInfo,
    Registration,
    RegistrationState,
    Support,
    WorkerEngine,
)
from landlord_engines_core.errors import Held, InvalidJob, SettingsError, Transient
from landlord_engines_core.settings.types import Duration

__all__ = ["DirectEngine", "DirectSettings", "create_engine"]

FIRST_PAUSE = 0.5
LONGEST_PAUSE = 30.0
"""Seconds between two attempts of a job that fails for a passing reason."""


@attrs.frozen(kw_only=True)
class DirectSettings:
    """The section ``workflow.direct``.

    Attributes:
        path: The SQLite file; it is made where there is none.
        poll_interval: How often the file is looked at: it tells nobody that a job was sent.
    """

    path: str = ""
    poll_interval: Duration = Duration(0.1)


@attrs.define(kw_only=True)
class DirectEngine(WorkerEngine):
    """Runs the jobs of one file; each goes on after a restart of the worker."""

    info = EngineInfo(
        name="direct",
        capabilities={Capability.TENANT_LOCK: Support.FULL},
    )
    settings: DirectSettings
    context: EngineContext
    _stopping: asyncio.Event = attrs.field(factory=asyncio.Event, init=False)
    _tasks: dict[int, asyncio.Task[None]] = attrs.field(factory=dict, init=False)
    _locks: WeakValueDictionary[str, asyncio.Lock] = attrs.field(
        factory=WeakValueDictionary, init=False
    )

    async def serve(self, started: Callable[[], None]) -> None:
        """Start what was sent, and stop what was killed, until `shutdown`."""
        with closing(Store(Path(self.settings.path))) as store, store.exclusively():
            started()
            # An error that is not a job's own ends the group, and so the worker.
            async with asyncio.TaskGroup() as group:
                while not self._stopping.is_set():
                    if store.changed():
                        self._follow(store, group)
                    await self._pause(self.settings.poll_interval)

    async def register(self) -> Registration:
        """Whoever writes into the file reaches this worker."""
        return Registration(
            state=RegistrationState.REGISTERED, detail=f"jobs are read from {self.settings.path}"
        )

    async def shutdown(self, grace: float) -> None:
        """Start nothing more; attempts under way get their time, and are begun again later."""
        self._stopping.set()
        if tasks := list(self._tasks.values()):
            _, late = await asyncio.wait(tasks, timeout=grace)
            for task in late:
                task.cancel()
            await asyncio.wait(tasks)

    def taking(self, tenant: str) -> AbstractAsyncContextManager[None]:
        """A lock for each tenant, for as long as anybody wants it."""
        return self._locks.setdefault(tenant, asyncio.Lock())

    async def give_way(self, job_id: int) -> None:
        """Stop a job for a younger one of its tenant."""
        if (task := self._tasks.get(job_id)) is not None:
            task.cancel()
            await asyncio.wait((task,))

    def _follow(self, store: Store, group: asyncio.TaskGroup) -> None:
        """Have exactly the jobs running that are not over."""
        wanted = store.unfinished()
        for job_id, task in self._tasks.items():
            if job_id not in wanted and not task.cancelling():
                task.cancel()
        for job_id, job in wanted.items():
            if job_id not in self._tasks:
                task = self._tasks[job_id] = group.create_task(self._carry_out(store, job))
                task.add_done_callback(partial(self._forget, job_id))

    def _forget(self, job_id: int, _: asyncio.Task[None]) -> None:
        del self._tasks[job_id]

    async def _carry_out(self, store: Store, job: Job) -> None:
        """Try a job until it has ended, or this worker has."""
        steps = DirectSteps(job_id=job.id, store=store, jobs=self, is_wanted=self.context.is_wanted)
        attempt, pause = job.attempts, FIRST_PAUSE
        while not self._stopping.is_set():
            attempt += 1
            store.mark(job.id, JobState.RUNNING, attempts=attempt)
            try:
                await self.context.run_job(job.body, steps)
            except InvalidJob as error:
                store.mark(job.id, JobState.REFUSED, reason=str(error))
                return
            except (Held, Transient) as error:
                store.mark(job.id, JobState.BACKING_OFF, reason=str(error))
                named = error.retry_after
                await self._pause(pause if named is None else named)
                pause = min(2 * pause, LONGEST_PAUSE)
            else:
                store.mark(job.id, JobState.COMPLETED)
                return

    async def _pause(self, seconds: float) -> None:
        """Wait, but not beyond the beginning of a shutdown."""
        try:
            await asyncio.wait_for(self._stopping.wait(), seconds)
        except TimeoutError:
            return


def create_engine(context: EngineContext) -> DirectEngine:
    """Make the engine.

    Raises:
        SettingsError: No file is named.
    """
    settings: DirectSettings = context.settings
    if not settings.path:
        raise SettingsError(
            "workflow.direct.path is missing", hint="name the SQLite file that holds the jobs"
        )
    return DirectEngine(settings=settings, context=context)
