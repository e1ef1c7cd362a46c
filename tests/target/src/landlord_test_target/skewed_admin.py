"""A proxy of Restate's admin API that changes the times at which jobs were dispatched."""

import asyncio
from collections.abc import AsyncIterator, Awaitable
from contextlib import asynccontextmanager

import attrs

from landlord_test_target.admin_front import Row, admin_front, shift

__all__ = ["SkewedAdmin", "skewed_admin"]


@attrs.define(kw_only=True)
class SkewedAdmin:
    """The proxy, which shifts ``created_at`` of chosen jobs in the answers to queries.

    Attributes:
        url: The proxy's address.
        shown: The ids of jobs that an answer showed with a shifted time.
    """

    url: str = ""
    shown: set[str] = attrs.field(factory=set)
    _shifts: dict[str, float] = attrs.field(factory=dict)
    _told: asyncio.Lock = attrs.field(factory=asyncio.Lock)

    async def dispatched(self, sending: Awaitable[str], seconds: float) -> str:
        """Dispatch a job with a time shifted by this much, and return its id.

        Meanwhile the proxy holds all answers with rows, so that nobody sees the job's true time.
        """
        async with self._told:
            job = await sending
            self._shifts[job] = seconds
            return job

    async def change(self, rows: list[Row]) -> None:
        """Shift the times in one answer."""
        async with self._told:
            for row in rows:
                seconds = self._shifts.get(row.get("id", ""))
                if seconds and "created_at" in row:
                    shift(row, seconds)
                    self.shown.add(row["id"])


@asynccontextmanager
async def skewed_admin(to: str) -> AsyncIterator[SkewedAdmin]:
    """Run a proxy before the admin API at this URL."""
    skewed = SkewedAdmin()
    async with admin_front(to, skewed.change) as skewed.url:
        yield skewed
