import asyncio
from collections.abc import Coroutine
from typing import Any

import attrs
import pytest

from landlord_engines_core.queueing import JobTasks, pause


@attrs.frozen
class Jobs:
    """Jobs that count their cancellations."""

    tasks: list["asyncio.Task[None]"] = attrs.field(factory=list)

    async def run(self, work: Coroutine[Any, Any, None]) -> None:
        task = asyncio.current_task()
        assert task is not None
        self.tasks.append(task)
        await work


async def wait(until: asyncio.Event) -> None:
    await until.wait()


async def linger(until: asyncio.Event) -> None:
    """Ignores one cancellation, as a request that is carried to its end does."""
    try:
        await asyncio.Event().wait()
    except asyncio.CancelledError:
        await until.wait()
        raise


async def test_a_task_is_forgotten_when_it_has_ended() -> None:
    tasks, end = JobTasks[int](), asyncio.Event()

    async with asyncio.TaskGroup() as group:
        tasks.start(group, 1, wait(end))
        assert (1 in tasks, 2 in tasks, len(tasks), tasks.running) == (
            True,
            False,
            1,
            frozenset({1}),
        )
        end.set()
        await tasks.wait_ended()

    assert len(tasks) == 0


async def test_two_attempts_of_a_job_never_overlap() -> None:
    tasks, end, second = JobTasks[int](), asyncio.Event(), wait(asyncio.Event())

    async with asyncio.TaskGroup() as group:
        tasks.start(group, 1, wait(end))
        with pytest.raises(AssertionError, match="would overlap"):
            tasks.start(group, 1, second)
        second.close()
        end.set()


async def test_the_tasks_of_lost_jobs_are_cancelled_once() -> None:
    tasks, jobs, end, never = JobTasks[int](), Jobs(), asyncio.Event(), asyncio.Event()

    async with asyncio.TaskGroup() as group:
        tasks.start(group, 1, jobs.run(wait(end)))
        tasks.start(group, 2, jobs.run(linger(never)))
        await asyncio.sleep(0)
        tasks.cancel({2, 3})
        await asyncio.sleep(0)
        # A second cancellation would end the request in flight.
        tasks.cancel({2, 3})
        assert [task.cancelling() for task in jobs.tasks] == [0, 1]
        end.set()
        never.set()

    assert [task.cancelled() for task in jobs.tasks] == [False, True]


async def test_a_job_is_stopped_and_its_end_awaited() -> None:
    tasks, jobs = JobTasks[int](), Jobs()

    async with asyncio.TaskGroup() as group:
        tasks.start(group, 1, jobs.run(wait(asyncio.Event())))
        await asyncio.sleep(0)
        await tasks.stop(1)
        assert [task.cancelled() for task in jobs.tasks] == [True]
        await tasks.stop(1)


async def test_a_drain_waits_for_jobs_and_then_cancels_those_that_are_late() -> None:
    tasks, jobs, end = JobTasks[int](), Jobs(), asyncio.Event()

    async with asyncio.TaskGroup() as group:
        tasks.start(group, 1, jobs.run(wait(end)))
        tasks.start(group, 2, jobs.run(wait(asyncio.Event())))
        end.set()
        await tasks.drain(0.01)

    assert [task.cancelled() for task in jobs.tasks] == [False, True]
    await tasks.drain(0.01)


async def test_a_pause_ends_when_the_worker_stops() -> None:
    stopping = asyncio.Event()

    await pause(0.001, stopping)
    stopping.set()
    async with asyncio.timeout(5):
        await pause(60, stopping)
