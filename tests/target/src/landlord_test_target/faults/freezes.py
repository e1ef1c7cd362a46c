"""Workers that stand still for a while, as a paused machine does, and go on as if nothing had been.

What a balancer's probe notices is out of the balancer until it goes on, and another worker is in its
place; what it does not notice goes on getting jobs. One that was replaced ends in order once it has
gone on for a moment: with what it had in hand, and with what it knew before it stood still.
"""

import asyncio
from random import Random
from time import time

import attrs

from landlord_test_target.faults.fault import Fault, Moments
from landlord_test_target.faults.fleet import Fleet
from landlord_test_target.harness import Worker

__all__ = ["FROZEN", "Freezer"]

FROZEN = "frozen"

UNNOTICED = 0.25
"""How often no probe notices."""

PROBED = (1.0, 10.0)
"""Seconds after which one does."""

GOES_ON = 3.0
"""Seconds for which a worker that was replaced goes on before it is stopped."""


@attrs.define(kw_only=True)
class Freezer:
    """Freezes one worker after the other, some of them at once.

    Attributes:
        count: So many freezes there are.
        lasting: Seconds that each lasts, at least and at most.
        at_once: So many workers stand still at the same time, at most.
    """

    fleet: Fleet
    moments: Moments
    seed: int
    count: int
    lasting: tuple[float, float] = (20.0, 90.0)
    at_once: int = 4
    _dice: Random = attrs.field(init=False)

    def __attrs_post_init__(self) -> None:
        self._dice = Random(f"freezes-{self.seed}")

    async def run(self) -> None:
        """Freeze until there was enough; returns once all have gone on."""
        lanes = asyncio.Semaphore(self.at_once)
        async with asyncio.TaskGroup() as group:
            for _ in range(self.count):
                await lanes.acquire()
                freezing = group.create_task(self._one())
                freezing.add_done_callback(lambda _: lanes.release())

    async def _one(self) -> None:
        lasting, probed = self._dice.uniform(*self.lasting), self._dice.uniform(*PROBED)
        noticed = self._dice.random() >= UNNOTICED and probed < lasting
        moment = self._dice.choice(("before", "after"))
        worker = await self._awake()
        # One of them at least is to go on, or to be replaced soon.
        noticed = noticed or len(self.fleet.awake) < self.fleet.size
        async with self.moments.caught(FROZEN, moment, is_kill=False) as fault:
            if worker not in self.fleet.awake:
                worker = await self._awake()
            self.fleet.freeze(worker)
        ends = time() + lasting
        if noticed:
            await asyncio.sleep(probed)
            await self._replaced(worker)
        await asyncio.sleep(max(0.0, ends - time()))
        self._woken(worker, fault)
        if noticed:
            await asyncio.sleep(GOES_ON)
            if worker.lives:
                await self.fleet.stop(worker)

    async def _awake(self) -> Worker:
        """One of the workers that do not stand still, once there is one."""
        while not self.fleet.awake:
            await asyncio.sleep(0.05)
        return self._dice.choice(self.fleet.awake)

    async def _replaced(self, worker: Worker) -> None:
        self.fleet.take_out(worker)
        await self.fleet.start()

    def _woken(self, worker: Worker, fault: Fault) -> None:
        self.fleet.wake(worker)
        fault.over = time()
