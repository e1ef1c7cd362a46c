"""A bounded cache with a time to live that asks once, however many want to know."""

import asyncio
from collections import OrderedDict
from collections.abc import Awaitable, Callable, Hashable
from time import monotonic
from typing import Generic, TypeVar

import attrs

__all__ = ["Cache"]

K = TypeVar("K", bound=Hashable)
V = TypeVar("V")

LIMIT = 20_000
"""How many entries are kept; the one used longest ago goes first."""


@attrs.define(kw_only=True)
class Cache(Generic[K, V]):
    """Remembers answers for ``ttl`` seconds, and past them for when the source fails.

    Attributes:
        ttl: Seconds for which an answer is used without asking; 0 asks each time.
        limit: How many answers are kept.
        hits: Answers that were used again.
        misses: Answers that the source gave.
        stale: Older answers that served since the source failed.
        failed: Failures of the source for which there was no older answer.
    """

    ttl: float
    limit: int = LIMIT
    hits: int = attrs.field(default=0, init=False)
    misses: int = attrs.field(default=0, init=False)
    stale: int = attrs.field(default=0, init=False)
    failed: int = attrs.field(default=0, init=False)
    _entries: OrderedDict[K, tuple[float, V]] = attrs.field(factory=OrderedDict, init=False)
    _asking: dict[K, asyncio.Task[V]] = attrs.field(factory=dict, init=False)

    @property
    def entries(self) -> int:
        """How many answers are kept, those past their time too."""
        return len(self._entries)

    @property
    def asking(self) -> int:
        """How many questions to the source are under way."""
        return len(self._asking)

    async def get(
        self,
        key: K,
        ask: Callable[[], Awaitable[V]],
        *,
        stale_on: type[Exception],
        stale: Callable[[Exception], None],
    ) -> V:
        """The value for a key, asked for at most once at a time.

        Args:
            key: What to look up.
            ask: Gets the value from its source.
            stale_on: The failure of ``ask`` in which an older answer serves.
            stale: Told of the failure whenever an older answer serves.

        Raises:
            Exception: As ``ask`` raised it, where there is no older answer.
        """
        entry = self._entries.get(key)
        if entry is not None:
            self._entries.move_to_end(key)
            if monotonic() < entry[0]:
                self.hits += 1
                return entry[1]
        try:
            # Whoever waits may be cancelled; the others still want the answer.
            value = await asyncio.shield(self._ask_once(key, ask))
        except stale_on as error:
            if entry is None:
                self.failed += 1
                raise
            self.stale += 1
            stale(error)
            return entry[1]
        self.misses += 1
        return value

    def _ask_once(self, key: K, ask: Callable[[], Awaitable[V]]) -> asyncio.Task[V]:
        if (task := self._asking.get(key)) is None:
            task = asyncio.ensure_future(self._fetch(key, ask))
            self._asking[key] = task
            task.add_done_callback(lambda done: self._asked(key, done))
        return task

    def _asked(self, key: K, task: asyncio.Task[V]) -> None:
        del self._asking[key]
        if not task.cancelled():
            # Read the error, so that one nobody waited for is not reported as never retrieved.
            task.exception()

    async def _fetch(self, key: K, ask: Callable[[], Awaitable[V]]) -> V:
        value = await ask()
        self._entries[key] = (monotonic() + self.ttl, value)
        self._entries.move_to_end(key)
        while len(self._entries) > self.limit:
            self._entries.popitem(last=False)
        return value
