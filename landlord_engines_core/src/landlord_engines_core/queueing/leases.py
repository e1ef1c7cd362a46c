"""Leases of jobs: a worker extends them while it lives, and stops the jobs whose lease is lost."""

import asyncio
import math
from collections.abc import Awaitable, Callable, Collection, Hashable
from time import monotonic
from typing import Generic, TypeVar

import attrs

from landlord_engines_core.errors import Transient
from landlord_engines_core.queueing.tasks import JobTasks

__all__ = ["Lease"]

K = TypeVar("K", bound=Hashable)


@attrs.define(kw_only=True)
class Lease(Generic[K]):
    """Keeps the leases of all jobs that run in this worker.

    A lease is lost if the backend no longer lists its job, or if it did not answer for as long as the lease
    lasts. Then another worker may have the job, and its task here is cancelled.

    Attributes:
        tasks: The tasks of the jobs.
        extend: Receives the keys of the jobs that run in this worker. Extends their leases by
            ``duration``, and no others: a job without a task would stay leased for ever. Returns the
            keys of the jobs that may continue, and leaves out those that were killed or preempted.
            Raises Transient if the backend does not answer.
        duration: Seconds for which a lease is valid after it was extended.
        interval: Seconds between two extensions; at most a third of ``duration``.
        clock: Returns the time in seconds.
    """

    tasks: JobTasks[K]
    extend: Callable[[Collection[K]], Awaitable[Collection[K]]]
    duration: float
    interval: float
    clock: Callable[[], float] = monotonic
    _valid_until: float = attrs.field(default=-math.inf, init=False)

    async def keep(self) -> None:
        """Extend the leases at each interval, until cancelled."""
        while True:
            await self.beat()
            await asyncio.sleep(self.interval)

    async def beat(self) -> None:
        """Extend the leases once, and cancel the task of each job whose lease is lost."""
        # The lease begins before the request: the answer may be late, and the clock here is the only
        # one that this worker has.
        asked = self.clock()
        # A job that starts during the request is not in the answer, but its lease is fresh.
        running = self.tasks.running
        extending = asyncio.ensure_future(self.extend(running))
        try:
            # Never longer than the lease: a backend that hangs keeps no job running.
            await asyncio.wait((extending,), timeout=max(self._valid_until - asked, self.interval))
        finally:
            extending.cancel()
        if (kept := _read_answer(extending)) is not None:
            self._valid_until = asked + self.duration
            self.tasks.cancel(running.difference(kept))
        elif self.clock() >= self._valid_until:
            self.tasks.cancel(running)


def _read_answer(extending: "asyncio.Future[Collection[K]]") -> Collection[K] | None:
    """Return the keys, or ``None`` without an answer of the backend."""
    if not extending.done():
        return None
    try:
        return extending.result()
    except Transient:
        return None
