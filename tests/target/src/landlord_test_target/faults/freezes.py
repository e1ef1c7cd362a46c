"""Freezes of workers: a worker stops for a while, as on a paused machine, and continues unaware.

If a balancer's probe notices the freeze, the balancer drops the worker and another one replaces it.
Otherwise the frozen worker still gets jobs. A replaced worker continues its old jobs
briefly after the freeze, and is then stopped by a signal.
"""

import asyncio
from random import Random
from time import time

import attrs

from landlord_test_target.faults.fault import Fault, FaultTimes
from landlord_test_target.faults.fleet import Fleet
from landlord_test_target.harness import Worker

__all__ = ["FROZEN", "Freezer"]

FROZEN = "frozen"

UNNOTICED_SHARE = 0.25
"""The share of freezes that no probe notices."""

PROBE_DELAY = (1.0, 10.0)
"""Seconds until a probe notices a freeze, at least and at most."""

RUNS_AFTER_THAW = 3.0
"""Seconds between a replaced worker's thaw and the signal that stops it."""


@attrs.define(kw_only=True)
class Freezer:
    """A series of freezes, some of them at the same time.

    Attributes:
        count: The number of freezes.
        duration: A freeze's duration in seconds, at least and at most.
        at_once: The largest number of workers that are frozen at the same time.
    """

    fleet: Fleet
    fault_times: FaultTimes
    seed: int
    count: int
    duration: tuple[float, float] = (20.0, 90.0)
    at_once: int = 4
    _random: Random = attrs.field(init=False)

    def __attrs_post_init__(self) -> None:
        self._random = Random(f"freezes-{self.seed}")

    async def run(self) -> None:
        """Do all freezes, and return once every worker has continued."""
        slots = asyncio.Semaphore(self.at_once)
        async with asyncio.TaskGroup() as group:
            for _ in range(self.count):
                await slots.acquire()
                freeze = group.create_task(self._freeze_one())
                freeze.add_done_callback(lambda _: slots.release())

    async def _freeze_one(self) -> None:
        duration, probed = self._random.uniform(*self.duration), self._random.uniform(*PROBE_DELAY)
        noticed = self._random.random() >= UNNOTICED_SHARE and probed < duration
        moment = self._random.choice(("before", "after"))
        worker = await self._choose_awake()
        # If every worker were frozen and no probe noticed it, no job would run.
        noticed = noticed or len(self.fleet.awake) < self.fleet.size
        async with self.fault_times.record_at_call(FROZEN, moment, is_kill=False) as fault:
            if worker not in self.fleet.awake:
                worker = await self._choose_awake()
            self.fleet.freeze(worker)
        ends_at = time() + duration
        if noticed:
            await asyncio.sleep(probed)
            await self._replace(worker)
        await asyncio.sleep(max(0.0, ends_at - time()))
        self._thaw(worker, fault)
        if noticed:
            await asyncio.sleep(RUNS_AFTER_THAW)
            if worker.is_running:
                await self.fleet.stop(worker)

    async def _choose_awake(self) -> Worker:
        """Wait until a worker is not frozen, and choose one."""
        while not self.fleet.awake:
            await asyncio.sleep(0.05)
        return self._random.choice(self.fleet.awake)

    async def _replace(self, worker: Worker) -> None:
        self.fleet.take_out(worker)
        await self.fleet.start()

    def _thaw(self, worker: Worker, fault: Fault) -> None:
        self.fleet.thaw(worker)
        fault.recovered = time()
