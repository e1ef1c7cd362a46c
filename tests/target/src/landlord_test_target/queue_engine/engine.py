"""The engine: a task for each job that this process has leased."""

import asyncio
from collections.abc import Callable, Collection
from contextlib import closing, suppress
from pathlib import Path
from uuid import uuid4

import attrs

from landlord_engines_core import codec
from landlord_engines_core.engine import (
    Capability,
    EngineContext,
    EngineInfo,
    Registration,
    RegistrationState,
    Support,
    WorkerEngine,
)
from landlord_engines_core.errors import Held, InvalidJob, Transient
from landlord_engines_core.models import CompletedJob
from landlord_engines_core.settings.types import Duration
from landlord_test_target.queue_engine.steps import QueueSteps, ResyncSteps
from landlord_test_target.queue_engine.store import Job, Store

__all__ = ["INFO", "QueueEngine", "QueueSettings", "create_engine"]

INFO = EngineInfo(
    name="queue",
    contract=1,
    capabilities={Capability.TENANT_LOCK: Support.FULL, Capability.RESYNC: Support.FULL},
)


@attrs.frozen(kw_only=True)
class QueueSettings:
    """The section ``workflow.queue``.

    Attributes:
        path: The SQLite file.
        poll_interval: The interval between two reads of the file.
        lease: The time without an extension after which another process may take a job.
    """

    path: str = ""
    poll_interval: Duration = Duration(0.1)
    lease: Duration = Duration(5.0)


@attrs.define(kw_only=True)
class QueueEngine(WorkerEngine):
    """A worker engine for the jobs of one file, which other processes may share."""

    settings: QueueSettings
    context: EngineContext
    _owner: str = attrs.field(factory=lambda: uuid4().hex, init=False)
    _stopping: asyncio.Event = attrs.field(factory=asyncio.Event, init=False)
    _tasks: dict[tuple[int, int], asyncio.Task[None]] = attrs.field(factory=dict, init=False)

    async def serve(self, started: Callable[[], None]) -> None:
        """Extend leases, stop ended jobs and start due ones, until `shutdown`."""
        with closing(Store(Path(self.settings.path))) as store:
            started()
            async with asyncio.TaskGroup() as group:
                while self._tasks or not self._stopping.is_set():
                    self._stop_all_but(store.extend(self._owner, self.settings.lease))
                    if not self._stopping.is_set():
                        self._start_due_jobs(store, group)
                    await asyncio.sleep(self.settings.poll_interval)

    async def register(self) -> Registration:
        """Report the worker as registered, because every writer of the file reaches it."""
        return Registration(state=RegistrationState.REGISTERED, detail=self.settings.path)

    async def shutdown(self, grace: float) -> None:
        """Start no more jobs; running ones may finish within the drain, or continue on another worker."""
        self._stopping.set()
        if tasks := list(self._tasks.values()):
            _, late = await asyncio.wait(tasks, timeout=grace)
            for task in late:
                task.cancel()
            await asyncio.wait(tasks)

    def _stop_all_but(self, leased: Collection[tuple[int, int]]) -> None:
        for attempt, task in self._tasks.items():
            if attempt not in leased and not task.cancelling():
                task.cancel()

    def _start_due_jobs(self, store: Store, group: asyncio.TaskGroup) -> None:
        while (job := store.claim(self._owner, self.settings.lease)) is not None:
            attempt = (job.id, job.attempt)
            self._tasks[attempt] = group.create_task(self._run_attempt(store, job))

    async def _run_attempt(self, store: Store, job: Job) -> None:
        """Run one attempt, and release its lease once the task has ended."""
        try:
            with suppress(asyncio.CancelledError):
                await self._attempt(store, job)
            # A cancelled job that has not ended continues on another worker.
            store.release(job, "open")
        finally:
            del self._tasks[job.id, job.attempt]

    async def _attempt(self, store: Store, job: Job) -> None:
        try:
            await self._run(store, job)
        except InvalidJob as error:
            store.release(job, "refused", str(error))
        except (Held, Transient) as error:
            grown = min(30.0, 0.5 * 2 ** min(job.attempt - 1, 6))
            pause = grown if error.retry_after is None else error.retry_after
            store.release(job, "open", str(error), pause)
        else:
            store.release(job, "done")

    async def _run(self, store: Store, job: Job) -> None:
        context, after = self.context, self.context.host.resync_after
        wanted = context.is_wanted
        if job.kind == "job":
            steps = QueueSteps(job=job, store=store, is_wanted=wanted, resync_after=after)
            await context.run_job(job.body, steps)
            return
        ended = codec.loads(job.body, CompletedJob)
        resync = ResyncSteps(
            job=job, store=store, is_wanted=wanted, resync_after=0, after=int(ended.execution_id)
        )
        if (then := (await context.resync(ended, resync)).follow_up) is not None:
            store.send_resync(then.ended, then.after)


def create_engine(context: EngineContext) -> QueueEngine:
    """Create the engine."""
    return QueueEngine(settings=context.settings, context=context)
