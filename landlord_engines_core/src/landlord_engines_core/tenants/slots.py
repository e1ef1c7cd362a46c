"""How many jobs act on targets at once, and whether any still gets its lock to.

A slot is given inside one call without any await: who is given one counts at once, and who leaves
the queue cannot be given one any more. So no more are held than there are, whoever is cancelled when.
A request that its step leaves on the wire is not counted: it goes on without the slot.
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

BACK_AFTER = 0.5
"""Seconds after which a step that left the queue is to be entered again."""

LEAVES_FROM = 0.5
"""The share of its time after which a step may leave the queue. Steps that came together leave at
different times: thousands that are entered again at once would hold up those that act (seen with
2,000: acts of 3 s ran into their deadline of 15 s)."""

KEPT_FOR = 60.0
"""Seconds for which a place is kept: far longer than a busy backend needs for ``BACK_AFTER``.

A kept location holds up nobody: it is passed over. The bound is only for the memory of killed jobs.
"""


@attrs.define(kw_only=True, eq=False)
class _Waiter:
    """One attempt of a step in the queue; ``told`` is true with a slot, false without."""

    number: int
    told: asyncio.Future[bool] = attrs.field(
        factory=lambda: asyncio.get_running_loop().create_future()
    )

    @property
    def has_slot(self) -> bool:
        return self.told.done() and self.told.result()


@attrs.frozen
class _Place:
    """A place in the queue whose owner has left for a moment."""

    number: int
    until: float


@attrs.define(kw_only=True)
class Slots:
    """Slots that are held for as long as a step acts, given in the order of first asking.

    Attributes:
        limit: How many there are.
        step_timeout: Seconds for which a step may act, from when it has its slot; and for which it
            waits for one at most before it leaves the queue. The two together stay below the time after
            which a backend takes an attempt for lost.
        taken: How many are held.
    """

    limit: int
    step_timeout: float = 300.0
    taken: int = attrs.field(default=0, init=False)
    _given_at: float = attrs.field(factory=monotonic, init=False)
    _asked: int = attrs.field(default=0, init=False)
    _queue: list[_Waiter] = attrs.field(factory=list, init=False)
    _present: dict[str, _Waiter] = attrs.field(factory=dict, init=False)
    _kept: dict[str, _Place] = attrs.field(factory=dict, init=False)

    @property
    def waiting(self) -> int:
        """How many steps wait for a slot."""
        return len(self._queue)

    @asynccontextmanager
    async def hold(self, execution_id: str) -> AsyncIterator[None]:
        """Hold a slot, once there is one, until the context has ended.

        Args:
            execution_id: The job whose step asks. A younger attempt takes the older one's place.

        Raises:
            Queued: There was none in time; the place is kept for a while.
            TimeoutError: The slot was held for longer than ``step_timeout``.
        """
        await self._given(execution_id)
        try:
            async with asyncio.timeout(self.step_timeout):
                yield
        finally:
            self.taken -= 1
            self._give()

    def stuck_for(self) -> float:
        """Seconds for which no slot was given though somebody waits; 0 where nobody does.

        A step that holds a slot has a deadline: what is past it has no way to end any more. Who
        left the queue for a moment waits too. Any thread may ask.
        """
        if self.taken < self.limit or not (self.waiting or self._awaited()):
            return 0.0
        return monotonic() - self._given_at

    def _awaited(self) -> bool:
        now = monotonic()
        # The copy is one act of the interpreter: the event loop may write meanwhile.
        return any(location.until > now for location in list(self._kept.values()))

    async def _given(self, execution_id: str) -> None:
        waiter = self._enter(execution_id)
        self._give()
        try:
            if not waiter.told.done():
                await asyncio.wait((waiter.told,), timeout=self._patience())
        except asyncio.CancelledError:
            self._withdraw(waiter)
            raise
        finally:
            if self._present.get(execution_id) is waiter:
                del self._present[execution_id]
        if waiter.has_slot:
            return
        if not waiter.told.done():
            self._leave(waiter)
            self._kept[execution_id] = _Place(waiter.number, monotonic() + KEPT_FOR)
        raise Queued(
            f"waits for one of the {self.limit} slots of worker.max_concurrent_jobs and keeps its"
            " place; nothing is wrong with the job",
            hint="raise worker.max_concurrent_jobs if jobs wait too long",
            retry_after=BACK_AFTER,
        )

    def _patience(self) -> float:
        """Seconds for which this attempt waits."""
        return self.step_timeout * uniform(LEAVES_FROM, 1.0)  # noqa: S311  # spreads load

    def _enter(self, execution_id: str) -> _Waiter:
        self._forget()
        number = self._asked = self._asked + 1
        if (location := self._kept.pop(execution_id, None)) is not None:
            number = location.number
        # A backend that starts an attempt has given up the one before, even unseen from here.
        older = self._present.get(execution_id)
        if older is not None and not older.told.done():
            self._leave(older)
            older.told.set_result(False)
            number = older.number
        waiter = self._present[execution_id] = _Waiter(number=number)
        insort(self._queue, waiter, key=_number)
        return waiter

    def _give(self) -> None:
        while self._queue and self.taken < self.limit:
            self.taken += 1
            self._given_at = monotonic()
            self._queue.pop(0).told.set_result(True)

    def _withdraw(self, waiter: _Waiter) -> None:
        if waiter.has_slot:
            # It was given in the same turn of the loop in which the attempt ended.
            self.taken -= 1
            self._give()
        elif not waiter.told.done():
            self._leave(waiter)

    def _leave(self, waiter: _Waiter) -> None:
        del self._queue[bisect_left(self._queue, waiter.number, key=_number)]

    def _forget(self) -> None:
        now = monotonic()
        # The oldest come first: each is kept for as long as any other.
        while self._kept and next(iter(self._kept.values())).until <= now:
            del self._kept[next(iter(self._kept))]


def _number(waiter: _Waiter) -> int:
    return waiter.number
