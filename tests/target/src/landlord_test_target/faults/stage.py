"""All that a campaign plays on: Landlord in memory, restate-server, one worker, the target.

The worker reaches Landlord and the target, and Restate the worker, by ways that can be cut.
"""

import asyncio
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from time import time

import attrs

from landlord_engines_core.compute import ComputeRegistry
from landlord_engines_core.devserver import Intervals, landlord_in_memory
from landlord_test_target.direct import Lines
from landlord_test_target.engine import create_target, create_target2
from landlord_test_target.faults.bugs import create_buggy
from landlord_test_target.faults.way import Way, way_to
from landlord_test_target.harness import Worker, World
from landlord_test_target.landlord import Caller
from landlord_test_target.waiting import free_port, wait_for

__all__ = ["Stage", "stage"]

INTERVALS = Intervals(reconcile=0.2, poll=0.2, retry=1.0, kill=0.2)
"""What Landlord gives up by itself is part of what is looked at: it tries at each round, five times."""

QUIET_LOOKS = 4

PARTITIONS = 24
"""Those of a restate-server whose settings do not say how many."""

QUICK = {
    "settle_after": "2s",
    "drain_timeout": "5s",
    "step_timeout": "10s",
    "health_timeout": "5s",
}


@attrs.define(kw_only=True)
class Stage:
    """The parts, and what can be done to them.

    Attributes:
        to_landlord: The worker's way to Landlord.
        to_target: The worker's way to the target.
        to_worker: Restate's way to the worker.
    """

    world: World
    landlord: Caller
    to_landlord: Way
    to_target: Way
    to_worker: Way
    worker: Worker

    @property
    def ways(self) -> tuple[Way, ...]:
        """All ways that there are."""
        return self.to_landlord, self.to_target, self.to_worker

    async def worker_again(self) -> None:
        """Start the worker that was ended; returns once it listens."""
        self.worker = await self.world.launch(self.worker.config)
        await self.worker.logged("listening")

    async def server_again(self) -> None:
        """Start the restate-server that was killed; returns once it leads all its partitions.

        It answers earlier, while it still reads its log again, and until then nothing goes on.
        """
        led = self._led()
        await self.world.restate.start()

        async def look() -> bool:
            return self._led() >= led + PARTITIONS

        await wait_for(look, 120)

    def _led(self) -> int:
        return self.world.restate.log.read_text(errors="replace").count("became Leader of epoch")

    async def open_jobs(self) -> Sequence[Mapping[str, object]]:
        """What Restate has not completed; that a tenant is to be forgotten one day is not counted."""
        return await self.world.admin.query(
            "SELECT id, target, status, last_failure FROM sys_invocation"
            f" WHERE target LIKE '{self.world.service}%' AND status != 'completed'"
            " AND target_handler_name != 'forget'"
        )

    async def quiet(self, within: float) -> None:
        """Return once nothing has been open at several looks, or these seconds are over.

        A job that has ended sends what is to be written down; Restate shows that a moment later.
        """
        over, looks = time() + within, 0
        while looks < QUIET_LOOKS and time() < over:
            looks = 0 if await self.open_jobs() else looks + 1
            await asyncio.sleep(2 * INTERVALS.poll)


@asynccontextmanager
async def stage(world: World, bug: str = "", **settings: object) -> AsyncIterator[Stage]:
    """Bring all up; ``bug`` is that of the engine ``buggy``, ``settings`` are the worker's own."""
    url = {"url": world.target.url}
    engines = {"target": create_target(url), "target2": create_target2(url)}
    if bug:
        engines["buggy"] = create_buggy(url)
    compute = ComputeRegistry(engines)
    port = free_port()
    async with AsyncExitStack() as ends:
        landlord = await ends.enter_async_context(
            landlord_in_memory(
                world.dispatcher, compute=compute, logger=Lines(), intervals=INTERVALS
            )
        )
        to_landlord, to_target, to_worker = [
            await ends.enter_async_context(way_to(one))
            for one in (landlord.url, world.target.url, f"http://127.0.0.1:{port}")
        ]
        config = world.config(port=port, api=to_landlord.url, **{**QUICK, **settings})
        for name in engines:
            config["compute"][name] = {"url": to_target.url, "bug": bug}
        config["workflow"]["restate"]["worker_advertised_url"] = to_worker.url
        yield Stage(
            world=world,
            landlord=Caller(url=landlord.url, http=world.http),
            to_landlord=to_landlord,
            to_target=to_target,
            to_worker=to_worker,
            worker=await (await world.launch(config)).registered(),
        )
