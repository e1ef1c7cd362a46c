"""Bounded cache with a time to live, which fetches each value once for all callers."""

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
"""Entries that are kept; the least recently used entry is removed first."""


@attrs.define(kw_only=True)
class Cache(Generic[K, V]):
    """Values that are valid for ``ttl`` seconds. Expired values serve if the source fails.

    Attributes:
        ttl: Seconds for which a value is valid; 0 fetches each time.
        limit: How many values are kept.
        hits: Lookups that a valid value served.
        misses: Lookups that the source served.
        stale: Lookups that an expired value served because the source failed.
        failed: Lookups that failed because the source failed and no expired value was there.
    """

    ttl: float
    limit: int = LIMIT
    hits: int = attrs.field(default=0, init=False)
    misses: int = attrs.field(default=0, init=False)
    stale: int = attrs.field(default=0, init=False)
    failed: int = attrs.field(default=0, init=False)
    _entries: OrderedDict[K, tuple[float, V]] = attrs.field(factory=OrderedDict, init=False)
    _fetches: dict[K, asyncio.Task[V]] = attrs.field(factory=dict, init=False)

    @property
    def entries(self) -> int:
        """How many values are kept, expired ones included."""
        return len(self._entries)

    @property
    def fetching(self) -> int:
        """How many fetches are under way."""
        return len(self._fetches)

    async def get(
        self,
        key: K,
        fetch: Callable[[], Awaitable[V]],
        *,
        tolerate: type[Exception],
        on_stale: Callable[[Exception], None],
    ) -> V:
        """Look up a value, and fetch it if it is missing or expired.

        Args:
            key: The key.
            fetch: Gets the value from its source.
            tolerate: The failure of ``fetch`` after which an expired value serves.
            on_stale: Called with the failure whenever an expired value serves.

        Raises:
            Exception: The failure of ``fetch``, if there is no expired value.
        """
        entry = self._entries.get(key)
        if entry is not None:
            self._entries.move_to_end(key)
            if monotonic() < entry[0]:
                self.hits += 1
                return entry[1]
        try:
            # Shielded: other callers still wait for the value if this caller is cancelled.
            value = await asyncio.shield(self._fetch_once(key, fetch))
        except tolerate as error:
            if entry is None:
                self.failed += 1
                raise
            self.stale += 1
            on_stale(error)
            return entry[1]
        self.misses += 1
        return value

    def _fetch_once(self, key: K, fetch: Callable[[], Awaitable[V]]) -> asyncio.Task[V]:
        if (task := self._fetches.get(key)) is None:
            task = asyncio.ensure_future(self._fetch(key, fetch))
            self._fetches[key] = task
            task.add_done_callback(lambda done: self._forget_fetch(key, done))
        return task

    def _forget_fetch(self, key: K, task: asyncio.Task[V]) -> None:
        del self._fetches[key]
        if not task.cancelled():
            # Without this, asyncio reports the error of a fetch that no caller waited for.
            task.exception()

    async def _fetch(self, key: K, fetch: Callable[[], Awaitable[V]]) -> V:
        value = await fetch()
        self._entries[key] = (monotonic() + self.ttl, value)
        self._entries.move_to_end(key)
        while len(self._entries) > self.limit:
            self._entries.popitem(last=False)
        return value
