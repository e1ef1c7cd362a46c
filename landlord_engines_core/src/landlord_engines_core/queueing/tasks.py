"""The tasks of the jobs that run in this worker."""

import asyncio
from collections.abc import Collection, Coroutine, Hashable
from functools import partial
from typing import Any, Generic, TypeVar

import attrs

__all__ = ["JobTasks", "pause"]

K = TypeVar("K", bound=Hashable)


@attrs.frozen
class JobTasks(Generic[K]):
    """The tasks of this worker's jobs, by a key such as the job's id and the number of its attempt."""

    _tasks: dict[K, asyncio.Task[None]] = attrs.field(factory=dict, init=False)

    def __contains__(self, key: object) -> bool:
        return key in self._tasks

    def __len__(self) -> int:
        return len(self._tasks)

    def start(self, group: asyncio.TaskGroup, key: K, work: Coroutine[Any, Any, None]) -> None:
        """Start the task of a job. It is forgotten when it has ended."""
        assert key not in self._tasks, "two attempts of a job would overlap"
        task = self._tasks[key] = group.create_task(work)
        task.add_done_callback(partial(self._forget, key))

    @property
    def running(self) -> frozenset[K]:
        """The keys of the jobs whose task has not ended, also of those that are being cancelled."""
        return frozenset(self._tasks)

    def cancel(self, lost: Collection[K]) -> None:
        """Cancel the tasks of these jobs, as far as they still run. No task is cancelled twice."""
        for key, task in self._tasks.items():
            if key in lost and not task.cancelling():
                task.cancel()

    async def stop(self, key: K) -> None:
        """Cancel the task of a job, if there is one, and wait for its end."""
        if (task := self._tasks.get(key)) is not None:
            task.cancel()
            await asyncio.wait((task,))

    async def drain(self, grace: float) -> None:
        """Wait for all tasks, cancel those that need longer than ``grace``, and wait for these too."""
        if tasks := set(self._tasks.values()):
            _, late = await asyncio.wait(tasks, timeout=grace)
            for task in late:
                task.cancel()
            await asyncio.wait(tasks)

    async def wait_ended(self) -> None:
        """Wait until no task is left."""
        while self._tasks:
            await asyncio.wait(self._tasks.values())

    def _forget(self, key: K, _: asyncio.Task[None]) -> None:
        del self._tasks[key]


async def pause(seconds: float, stopping: asyncio.Event) -> None:
    """Wait for so many seconds, but only until ``stopping`` is set."""
    try:
        async with asyncio.timeout(seconds):
            await stopping.wait()
    except TimeoutError:
        return
