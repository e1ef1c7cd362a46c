"""Slots: how many jobs change targets at once.

A step that changes a target waits in a queue for a slot. Granting one contains no await: the slot is
counted before its waiter wakes up, and a waiter that left the queue gets none. No cancellation can
therefore make more slots than the limit. A request that outlives its step needs no slot.
"""

import asyncio
from bisect import bisect_left, insort
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from random import uniform
from time import monotonic

import attrs

from landlord_engines_core.errors import Queued

__all__ = ["Slots"]

RETRY_AFTER = 0.5
"""Seconds after which a step that left the queue is tried again."""

# Observed with 2,000 steps that left together: their new attempts kept the event loop busy. Steps that
# need 3 s exceeded their deadline of 15 s.
MIN_WAIT_FRACTION = 0.5
"""Fraction of ``step_timeout`` that a step waits at least; it leaves the queue at a random time."""

POSITION_KEPT = 60.0
"""Seconds for which a position in the queue is kept; a busy backend needs less to retry."""


@attrs.define(kw_only=True, eq=False)
class _Waiter:
    """Attempt of a step in the queue; ``granted`` becomes false if a newer attempt replaces it."""

    number: int
    granted: asyncio.Future[bool] = attrs.field(
        factory=lambda: asyncio.get_running_loop().create_future()
    )

    @property
    def has_slot(self) -> bool:
        return self.granted.done() and self.granted.result()


@attrs.frozen
class _Position:
    """Position in the queue that is kept for a step's next attempt."""

    number: int
    until: float


@attrs.define(kw_only=True)
class Slots:
    """Slots for steps that change targets, granted in the order of the first request.

    Attributes:
        limit: How many slots there are.
        step_timeout: Maximum seconds to wait for a slot, and to keep it. A backend's time limit for
            an attempt is longer than both together.
        taken: How many slots are in use.
    """

    limit: int
    step_timeout: float = 300.0
    taken: int = attrs.field(default=0, init=False)
    _granted_at: float = attrs.field(factory=monotonic, init=False)
    _last_number: int = attrs.field(default=0, init=False)
    _queue: list[_Waiter] = attrs.field(factory=list, init=False)
    _attempts: dict[str, _Waiter] = attrs.field(factory=dict, init=False)
    _kept: dict[str, _Position] = attrs.field(factory=dict, init=False)

    @property
    def waiting(self) -> int:
        """How many steps wait for a slot."""
        return len(self._queue)

    @asynccontextmanager
    async def hold(self, execution_id: str) -> AsyncIterator[None]:
        """Wait for a slot, and keep it until the context has ended.

        Args:
            execution_id: The job of the step. A later attempt takes the earlier one's position.

        Raises:
            Queued: No slot was free in time; the position is kept for a while.
            TimeoutError: The step kept its slot for longer than ``step_timeout``.
        """
        await self._wait(execution_id)
        try:
            async with asyncio.timeout(self.step_timeout):
                yield
        finally:
            self.taken -= 1
            self._grant()

    def stuck_for(self) -> float:
        """Seconds since the last slot was granted, while steps wait; 0 if none waits.

        Steps have a deadline, so a long time means that steps cannot end. Any thread may call this.
        """
        if self.taken < self.limit or not (self.waiting or self._has_kept_positions()):
            return 0.0
        return monotonic() - self._granted_at

    def _has_kept_positions(self) -> bool:
        now = monotonic()
        # ``list`` copies atomically: the event loop's thread may write meanwhile.
        return any(position.until > now for position in list(self._kept.values()))

    async def _wait(self, execution_id: str) -> None:
        waiter = self._enter(execution_id)
        self._grant()
        try:
            if not waiter.granted.done():
                await asyncio.wait((waiter.granted,), timeout=self._choose_wait())
        except asyncio.CancelledError:
            self._withdraw(waiter)
            raise
        finally:
            if self._attempts.get(execution_id) is waiter:
                del self._attempts[execution_id]
        if waiter.has_slot:
            return
        if not waiter.granted.done():
            self._dequeue(waiter)
            self._kept[execution_id] = _Position(waiter.number, monotonic() + POSITION_KEPT)
        raise Queued(
            f"the job waits for one of the {self.limit} slots of worker.max_concurrent_jobs and keeps"
            " its position",
            hint="raise worker.max_concurrent_jobs if jobs wait too long",
            retry_after=RETRY_AFTER,
        )

    def _choose_wait(self) -> float:
        """Choose the seconds for which an attempt waits."""
        return self.step_timeout * uniform(MIN_WAIT_FRACTION, 1.0)  # noqa: S311  # spreads load

    def _enter(self, execution_id: str) -> _Waiter:
        self._forget_expired()
        number = self._last_number = self._last_number + 1
        if (position := self._kept.pop(execution_id, None)) is not None:
            number = position.number
        # A backend that starts an attempt has given up the previous one, even if this process has
        # not noticed that yet.
        older = self._attempts.get(execution_id)
        if older is not None and not older.granted.done():
            self._dequeue(older)
            older.granted.set_result(False)
            number = older.number
        waiter = self._attempts[execution_id] = _Waiter(number=number)
        insort(self._queue, waiter, key=_number)
        return waiter

    def _grant(self) -> None:
        while self._queue and self.taken < self.limit:
            self.taken += 1
            self._granted_at = monotonic()
            self._queue.pop(0).granted.set_result(True)

    def _withdraw(self, waiter: _Waiter) -> None:
        if waiter.has_slot:
            # The slot was granted in the iteration of the loop in which the attempt was cancelled.
            self.taken -= 1
            self._grant()
        elif not waiter.granted.done():
            self._dequeue(waiter)

    def _dequeue(self, waiter: _Waiter) -> None:
        del self._queue[bisect_left(self._queue, waiter.number, key=_number)]

    def _forget_expired(self) -> None:
        now = monotonic()
        # The oldest come first, since each is kept for the same time.
        while self._kept and next(iter(self._kept.values())).until <= now:
            del self._kept[next(iter(self._kept))]


def _number(waiter: _Waiter) -> int:
    return waiter.number
