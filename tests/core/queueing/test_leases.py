"""A worker runs a job only while it has the job's lease, by its own clock."""

import asyncio
from collections.abc import AsyncIterator, Callable, Collection
from contextlib import asynccontextmanager, suppress

import attrs
import pytest

from landlord_engines_core.errors import Transient
from landlord_engines_core.queueing import JobTasks, Lease


@attrs.define
class Backend:
    """A backend with leases of ten seconds, and a clock that a test moves."""

    now: float = 100.0
    leased: set[int] = attrs.field(factory=lambda: {1, 2})
    answers: bool = True
    hangs: bool = False
    takes: float = 0.0
    asked: int = 0
    extended: Collection[int] = ()
    during_request: Callable[[], object] = lambda: None

    async def extend(self, running: Collection[int]) -> Collection[int]:
        self.asked += 1
        self.extended = running
        self.during_request()
        self.now += self.takes
        if self.hangs:
            await asyncio.Event().wait()
        if not self.answers:
            raise Transient("no answer")
        return self.leased

    def clock(self) -> float:
        return self.now


@attrs.frozen
class Running:
    """Two jobs that run under the lease."""

    lease: Lease[int]
    tasks: list["asyncio.Task[None]"]

    @property
    def cancelled(self) -> list[bool]:
        return [task.cancelling() > 0 for task in self.tasks]


@asynccontextmanager
async def run(backend: Backend) -> AsyncIterator[Running]:
    tasks = JobTasks[int]()
    lease = Lease(
        tasks=tasks, extend=backend.extend, duration=10, interval=0.001, clock=backend.clock
    )

    running = Running(lease, [])

    async def work() -> None:
        task = asyncio.current_task()
        assert task is not None
        running.tasks.append(task)
        await asyncio.Event().wait()

    async with asyncio.TaskGroup() as group:
        for job in (1, 2):
            tasks.start(group, job, work())
        await lease.beat()
        yield running
        await tasks.drain(0)


async def test_a_job_that_the_backend_no_longer_lists_is_cancelled() -> None:
    backend = Backend()
    async with run(backend) as running:
        assert running.cancelled == [False, False]
        backend.leased.discard(2)

        await running.lease.beat()

        assert running.cancelled == [False, True]


@pytest.mark.parametrize("hangs", [False, True])
async def test_without_an_answer_jobs_run_until_their_lease_is_over(
    monkeypatch: pytest.MonkeyPatch, *, hangs: bool
) -> None:
    backend = Backend()
    async with run(backend) as running:
        backend.answers, backend.hangs = False, hangs
        if hangs:
            # The wait for a backend that hangs lasts as long as the lease.
            monkeypatch.setattr(running.lease, "_valid_until", backend.now)
        backend.now += 9.9 if not hangs else 0

        await running.lease.beat()
        assert running.cancelled == [hangs, hangs]
        backend.now += 0.1
        await running.lease.beat()

        assert running.cancelled == [True, True]


async def test_a_lease_counts_from_the_request_and_not_from_a_late_answer() -> None:
    backend = Backend(takes=8)
    async with run(backend) as running:
        backend.answers, backend.takes = False, 0
        backend.now += 2

        await running.lease.beat()

        assert running.cancelled == [True, True]


async def test_a_worker_that_stalled_keeps_the_jobs_that_the_backend_still_lists() -> None:
    backend = Backend()
    async with run(backend) as running:
        backend.now += 60
        backend.leased = {1}

        await running.lease.beat()

        assert running.cancelled == [False, True]


async def test_a_job_that_starts_during_a_request_is_not_cancelled_by_its_answer() -> None:
    backend, ended = Backend(), asyncio.Event()
    tasks = JobTasks[int]()
    lease = Lease(tasks=tasks, extend=backend.extend, duration=10, interval=0.001)

    async def work() -> None:
        ended.set()

    async with asyncio.TaskGroup() as group:
        backend.during_request = lambda: tasks.start(group, 3, work())
        await lease.beat()

    assert backend.extended == set()
    assert ended.is_set()


async def test_only_the_leases_of_jobs_that_run_are_extended() -> None:
    backend = Backend()
    async with run(backend) as running:
        running.tasks[1].cancel()
        await asyncio.wait(running.tasks[1:])

        await running.lease.beat()

        assert backend.extended == {1}


async def test_leases_are_extended_until_nobody_needs_them() -> None:
    backend = Backend()
    async with run(backend) as running:
        keeping = asyncio.create_task(running.lease.keep())
        async with asyncio.timeout(5):
            while backend.asked < 4:
                await asyncio.sleep(0)
        keeping.cancel()
        with suppress(asyncio.CancelledError):
            await keeping

        assert running.cancelled == [False, False]


async def test_a_beat_that_is_cancelled_leaves_no_request_behind() -> None:
    backend = Backend()
    async with run(backend) as running:
        backend.hangs = True
        beating = asyncio.create_task(running.lease.beat())
        await asyncio.sleep(0)
        beating.cancel()
        with pytest.raises(asyncio.CancelledError):
            await beating

        assert running.cancelled == [False, False]
