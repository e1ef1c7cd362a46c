"""A proxy of Restate's admin API that simulates nodes whose clocks differ.

One restate-server has one clock. The proxy assigns each job to one of three nodes, and shifts its
``created_at`` by that node's difference. The shift of a job is always the same.
"""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from random import Random

import attrs

from landlord_test_target.admin_proxy import Row, run_admin_proxy, shift_dispatch_time

__all__ = ["SkewingProxy", "run_skewing_proxy"]


@attrs.define(kw_only=True)
class SkewingProxy:
    """The proxy, which shifts the times of jobs in the answers to queries.

    Attributes:
        seconds: The largest difference of a clock; zero is one clock for all.
        share: The share of jobs that a node with a wrong clock accepts.
        url: The admin API's address for workers.
        skewed: The jobs whose time was shown with a shift.
    """

    seed: int
    seconds: float
    share: float = 0.25
    url: str = ""
    skewed: set[str] = attrs.field(factory=set)

    def seconds_ahead(self, job: str) -> float:
        """Return the seconds by which the clock of this job's node is ahead."""
        random = Random(f"{self.seed}-{job}")
        return random.choice((-1, 1)) * self.seconds if random.random() < self.share else 0.0

    async def change(self, rows: list[Row]) -> None:
        """Shift the times in one answer."""
        for row in rows:
            if "id" in row and "created_at" in row and (ahead := self.seconds_ahead(row["id"])):
                shift_dispatch_time(row, ahead)
                self.skewed.add(row["id"])


@asynccontextmanager
async def run_skewing_proxy(
    admin: str, *, seed: int, seconds: float
) -> AsyncIterator[SkewingProxy]:
    """Run the proxy before this admin API."""
    clocks = SkewingProxy(seed=seed, seconds=seconds)
    async with run_admin_proxy(admin, clocks.change) as clocks.url:
        yield clocks
