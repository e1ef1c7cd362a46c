"""A proxy of Restate's admin API that changes the times at which jobs were dispatched."""

import asyncio
from collections.abc import AsyncIterator, Awaitable
from contextlib import asynccontextmanager

import attrs

from landlord_test_target.admin_proxy import Row, run_admin_proxy, shift_dispatch_time

__all__ = ["SkewedAdmin", "run_skewed_admin"]


@attrs.define(kw_only=True)
class SkewedAdmin:
    """The proxy, which shifts ``created_at`` of chosen jobs in the answers to queries.

    Attributes:
        url: The proxy's address.
        shifted: The ids of jobs that an answer showed with a shifted time.
    """

    url: str = ""
    shifted: set[str] = attrs.field(factory=set)
    _shifts: dict[str, float] = attrs.field(factory=dict)
    _answers_lock: asyncio.Lock = attrs.field(factory=asyncio.Lock)

    async def dispatch_shifted(self, sending: Awaitable[str], seconds: float) -> str:
        """Dispatch a job with a time shifted by this much, and return its id.

        Meanwhile the proxy holds all answers with rows, so that nobody sees the job's true time.
        """
        async with self._answers_lock:
            job = await sending
            self._shifts[job] = seconds
            return job

    async def change(self, rows: list[Row]) -> None:
        """Shift the times in one answer."""
        async with self._answers_lock:
            for row in rows:
                seconds = self._shifts.get(row.get("id", ""))
                if seconds and "created_at" in row:
                    shift_dispatch_time(row, seconds)
                    self.shifted.add(row["id"])


@asynccontextmanager
async def run_skewed_admin(to: str) -> AsyncIterator[SkewedAdmin]:
    """Run a proxy before the admin API at this URL."""
    skewed = SkewedAdmin()
    async with run_admin_proxy(to, skewed.change) as skewed.url:
        yield skewed
