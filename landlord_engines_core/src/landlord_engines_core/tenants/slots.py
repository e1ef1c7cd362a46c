"""How many jobs act on targets at once, and whether any still gets its turn to."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from time import monotonic

import attrs

__all__ = ["Slots"]


@attrs.define(kw_only=True)
class Slots:
    """Slots that are held for as long as a step acts, given in the order of asking.

    Attributes:
        limit: How many there are.
        taken: How many are held.
        waiting: How many steps wait for one.
    """

    limit: int
    taken: int = attrs.field(default=0, init=False)
    waiting: int = attrs.field(default=0, init=False)
    _given_at: float = attrs.field(factory=monotonic, init=False)
    _free: asyncio.Semaphore = attrs.field(init=False)

    @_free.default
    def _all(self) -> asyncio.Semaphore:
        return asyncio.Semaphore(self.limit)

    @asynccontextmanager
    async def one(self) -> AsyncIterator[None]:
        """Hold a slot, once there is one."""
        self.waiting += 1
        try:
            await self._free.acquire()
        finally:
            self.waiting -= 1
        self.taken += 1
        self._given_at = monotonic()
        try:
            yield
        finally:
            self.taken -= 1
            self._free.release()

    def stuck_for(self) -> float:
        """Seconds for which no slot was given though somebody waits; 0 where nobody does.

        A step that holds a slot has a deadline: what is past it has no way to end any more.
        """
        if not self.waiting or self.taken < self.limit:
            return 0.0
        return monotonic() - self._given_at
