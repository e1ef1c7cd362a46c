"""The bench of a live test: the engine's local backend, its workers, and the ledger of all of them."""

import asyncio
import signal
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from contextlib import asynccontextmanager
from functools import partial
from pathlib import Path
from typing import TypeVar

import attrs

from landlord_engines_core.conformance.children import Child, start_child
from landlord_engines_core.conformance.live.jobs import digest
from landlord_engines_core.conformance.live.ledger import Entry, Ledger, render_story
from landlord_engines_core.conformance.live.scripts import Script
from landlord_engines_core.conformance.live.worker import WorkerOptions, run_worker
from landlord_engines_core.conformance.settings import load_settings
from landlord_engines_core.conformance.story import CannotRun, RuleBroken
from landlord_engines_core.conformance.subject import Subject
from landlord_engines_core.engine import EngineFactory, LocalBackend
from landlord_engines_core.models import PolledExecution, PolledState
from landlord_engines_core.plugins import load_worker_engine

__all__ = ["Bench", "LiveWorker", "open_bench"]

T = TypeVar("T")

DRAIN = 10.0

LONGEST_END = 5.0
"""Seconds that a worker gets to end at once."""

_REFUSED = 5
"""The exit code of a worker that the engine refuses."""

_PAUSE = 0.02
"""Seconds between two looks at the ledger: a file announces nothing."""


@attrs.frozen(kw_only=True)
class LiveWorker:
    """A running worker."""

    number: int
    child: Child

    @property
    def has_ended(self) -> bool:
        """Whether the process has ended."""
        return self.child.process.exitcode is not None

    def signal(self, number: int) -> None:
        """Send a signal."""
        self.child.send_signal(number)


@attrs.define(kw_only=True)
class Bench:
    """A local backend, and the workers of a test.

    Attributes:
        factory: The factory of the engine under test.
        name: Its name.
        backend: Its local backend.
        folder: A folder for files of the workers.
        data: The folder of the backend.
        settings: The settings that the test gives the engine.
        patience: Seconds after which an event that has to come counts as missing.
    """

    factory: EngineFactory
    name: str
    backend: LocalBackend
    folder: Path
    data: Path
    settings: Mapping[str, str]
    patience: float
    ledger: Ledger
    workers: list[LiveWorker] = attrs.field(factory=list)
    _executions: dict[str, str] = attrs.field(factory=dict)

    async def start(self, number: int = 0, *, drain: float = DRAIN) -> LiveWorker:
        """Start a worker, and wait until it is registered, or has died as a script says.

        Raises:
            RuleBroken: It ended, or did not register.
        """
        worker = self._launch(number, drain)
        await self._wait_up(worker)
        noted = [e for e in self.ledger.read("registered", "die at") if e.pid == worker.child.pid]
        if worker.has_ended and not noted:
            raise self.broken(f"worker {number} did not register", worker)
        return worker

    async def start_second(self) -> LiveWorker | None:
        """Start a second worker, unless the engine refuses one."""
        worker = self._launch(1, DRAIN)
        await self._wait_up(worker)
        if not worker.has_ended:
            return worker
        self.workers.remove(worker)
        if worker.child.process.exitcode != _REFUSED:
            raise self.broken("a second worker neither serves nor is refused", worker)
        self.ledger.write("second worker refused")
        return None

    async def dispatch(self, script: Script) -> str:
        """Dispatch a job, and return its execution id."""
        body = script.body()
        execution = await self.backend.dispatcher.dispatch(body)
        self._executions[script.job] = execution
        facts = attrs.asdict(script, filter=lambda _, value: bool(value))
        self.ledger.write(
            "dispatched", job=script.job, execution=execution, body=digest(body), script=facts
        )
        return execution

    async def kill(self, job: str) -> None:
        """Kill a job the way Landlord does."""
        self.ledger.write("killed", job=job)
        await self.backend.dispatcher.kill(self._executions[job])
        self.ledger.write("kill answered", job=job)

    async def poll(self, job: str) -> PolledExecution:
        """Poll a job.

        Raises:
            RuleBroken: The backend does not know it.
        """
        polled = await self.backend.dispatcher.poll(self._executions[job])
        if polled is None:
            raise self.broken(f"the backend does not know the execution of job {job}")
        return polled

    async def wait_polled(
        self, job: str, *states: PolledState, within: float | None = None
    ) -> PolledExecution:
        """Wait until Landlord would read one of these states."""

        async def check() -> PolledExecution | None:
            polled = await self.poll(job)
            if polled.state.has_ended and polled.state not in states:
                raise self.broken(f"job {job} is read as {polled.state}, and not as {names}")
            return polled if polled.state in states else None

        names = " or ".join(states)
        return await self.wait(check, f"job {job} was not read as {names}", within)

    async def wait_event(
        self, *events: str, job: str = "", count: int = 1, within: float | None = None
    ) -> list[Entry]:
        """Wait until the ledger has so many of these events."""

        async def check() -> list[Entry] | None:
            entries = self.ledger.read(*events, job=job)
            return entries if len(entries) >= count else None

        problem = f"{' or '.join(events)!r} of job {job} did not come {count} times"
        return await self.wait(check, problem, within)

    async def wait_ended(self, *jobs: str, within: float | None = None) -> None:
        """Wait until these jobs have succeeded."""
        for job in jobs:
            await self.wait_polled(job, PolledState.SUCCEEDED, within=within)

    async def wait(
        self, check: Callable[[], Awaitable[T | None]], problem: str, within: float | None = None
    ) -> T:
        """Await ``check()`` repeatedly until its result is not None, and return that result.

        Raises:
            RuleBroken: No result came in time. The error has the story.
        """
        within = self.patience if within is None else within
        until = asyncio.get_running_loop().time() + within
        while (result := await check()) is None:
            if asyncio.get_running_loop().time() > until:
                raise self.broken(f"{problem} within {within:g} s")
            await asyncio.sleep(_PAUSE)
        return result

    async def wait_exit(self, worker: LiveWorker, within: float | None = None) -> int:
        """Wait for the end of a worker, and return its exit code."""

        async def check() -> int | None:
            return worker.child.process.exitcode

        return await self.wait(check, f"worker {worker.number} did not end", within)

    def require(self, problem: str, *, holds: bool) -> None:
        """Raise RuleBroken with this problem unless the condition holds."""
        if not holds:
            raise self.broken(problem)

    def broken(self, problem: str, worker: LiveWorker | None = None) -> RuleBroken:
        """Build the error for a broken rule, with the story."""
        log = []
        if worker is not None:
            text = (worker.child.folder / "log").read_text(errors="replace")
            log = [f"log: {line}" for line in text.splitlines()[-10:]]
        return RuleBroken(problem, *render_story(self.ledger.read()), *log)

    def stop_all(self) -> None:
        """End all workers at once, as a second signal does, and kill those that stay."""
        # A forced end lets an engine end what it started; a kill does not.
        for number in (signal.SIGCONT, signal.SIGTERM, signal.SIGTERM):
            for worker in self.workers:
                worker.signal(number)
        for worker in self.workers:
            worker.child.wait(LONGEST_END)

    def _launch(self, number: int, drain: float) -> LiveWorker:
        settings = {**self.settings, **self.backend.settings}
        if number and self.backend.more_workers is not None:
            settings |= self.backend.more_workers()
        options = WorkerOptions(
            engine=self.name,
            settings=settings,
            ledger=self.ledger.path,
            number=number,
            drain_timeout=drain,
        )
        folder = self.folder / f"worker-{number}-{len(self.ledger.read())}"
        worker = LiveWorker(number=number, child=start_child(partial(run_worker, options), folder))
        self.workers.append(worker)
        return worker

    async def _wait_up(self, worker: LiveWorker) -> None:
        async def check() -> bool | None:
            registrations = [e for e in self.ledger.read("registered") if e.pid == worker.child.pid]
            return True if registrations or worker.has_ended else None

        await self.wait(check, f"worker {worker.number} was not registered")


@asynccontextmanager
async def open_bench(subject: Subject) -> AsyncIterator[Bench]:
    """Start the engine's local backend, and end all workers and the backend afterwards.

    Raises:
        CannotRun: The engine has no local backend.
    """
    candidate, factory = load_worker_engine(subject.name)
    if factory.local_backend is None:
        raise CannotRun("the engine has no local backend")
    # The files in it are the engine's, with the modes that the engine gives them.
    data = subject.folder / "backend"
    settings = load_settings(factory, subject.settings, complete=False)
    async with factory.local_backend(settings, data) as backend:
        bench = Bench(
            factory=factory,
            name=candidate.name,
            backend=backend,
            folder=subject.folder,
            data=data,
            settings=subject.settings,
            patience=subject.patience,
            ledger=Ledger(subject.folder / "ledger"),
        )
        try:
            yield bench
        finally:
            bench.stop_all()
