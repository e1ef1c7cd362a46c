"""A proxy of Restate's admin API that simulates nodes whose clocks differ.

One restate-server has one clock. The proxy assigns each job to one of three nodes, and shifts its
``created_at`` by that node's difference. The shift of a job is always the same.
"""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from random import Random

import attrs

from landlord_test_target.admin_front import Row, admin_front, shift

__all__ = ["Clocks", "clocks_apart"]


@attrs.define(kw_only=True)
class Clocks:
    """Shifts the times of jobs in the answers to queries.

    Attributes:
        seconds: How far a clock is ahead, or behind; zero is one clock for all.
        share: The part of the jobs that is accepted by a node with such a clock.
        url: Where workers reach the admin API.
        skewed: The jobs whose time was shown other than it is.
    """

    seed: int
    seconds: float
    share: float = 0.25
    url: str = ""
    skewed: set[str] = attrs.field(factory=set)

    def ahead(self, job: str) -> float:
        """Seconds by which the clock of the node that accepted this job is ahead."""
        dice = Random(f"{self.seed}-{job}")
        return dice.choice((-1, 1)) * self.seconds if dice.random() < self.share else 0.0

    async def change(self, rows: list[Row]) -> None:
        """Shift the times in one answer."""
        for row in rows:
            if "id" in row and "created_at" in row and (ahead := self.ahead(row["id"])):
                shift(row, ahead)
                self.skewed.add(row["id"])


@asynccontextmanager
async def clocks_apart(admin: str, *, seed: int, seconds: float) -> AsyncIterator[Clocks]:
    """Serve before this admin API."""
    clocks = Clocks(seed=seed, seconds=seconds)
    async with admin_front(admin, clocks.change) as clocks.url:
        yield clocks
