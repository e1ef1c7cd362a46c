"""Two versions of the worker under different URLs, each of which is the latest at times.

Restate pins a job to the version that started it. While that version is down, its jobs are delayed, and
jobs that were dispatched later overtake them.
"""

import asyncio
from contextlib import suppress

import attrs

from landlord_test_target.faults.fleet import Fleet

__all__ = ["Versions"]

PINNED_FOR = 1.5
"""Seconds for which new jobs go to a version before it is stopped."""


WITHIN = 30.0
"""Maximum seconds of `landlord-host register`."""


@attrs.define(kw_only=True)
class Versions:
    """The first version, and a second one.

    Attributes:
        flips: The number of changes of the latest version.
    """

    first: Fleet
    second: Fleet
    flips: int = 0
    _latest: Fleet = attrs.field(init=False)

    def __attrs_post_init__(self) -> None:
        # The second version was registered last.
        self._latest = self.second

    async def flip(self) -> None:
        """Make the other version the latest, with the operator's command."""
        await self.make_latest(self.first if self._latest is self.second else self.second)

    async def make_latest(self, version: Fleet) -> None:
        """Make this version the latest, if that succeeds in time.

        The workers or Restate may be down for a moment. Restate's discovery fails if it meets a frozen
        worker.
        """
        if self._latest is version or not version.awake:
            return
        command = version.awake[0].command("register", "--make-latest")
        with suppress(TimeoutError):
            code, _ = await asyncio.wait_for(command, WITHIN)
            if code == 0:
                self._latest = version
                self.flips += 1

    async def stop_second(self, seconds: float) -> None:
        """Let jobs start on the second version, and stop its only worker while it runs them."""
        await self.make_latest(self.second)
        await asyncio.sleep(PINNED_FOR)
        for worker in self.second.awake:
            await self.second.kill(worker)
        await self.make_latest(self.first)
        await asyncio.sleep(seconds)
        await self.second.start()
