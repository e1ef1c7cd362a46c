"""Two workers on a backend, and Landlord's part."""

import signal
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from random import Random
from typing import Any, Protocol

import attrs

from landlord_engines_core.engine import Dispatcher
from landlord_test_target.endings.ground import Ground
from landlord_test_target.endings.plan import Times
from landlord_test_target.endings.routes import Routes, routed
from landlord_test_target.endings.word import Word, landlords_word
from landlord_test_target.harness import Worker, World, free_port, wait_for

__all__ = ["Backend", "RestateBackend", "Stage", "restate_stage", "worker_settings"]


class Backend(Protocol):
    """What the cases ask of a backend beside what Landlord does."""

    @property
    def dispatcher(self) -> Dispatcher:
        """Landlord's part."""

    async def took(self, tenant: str, job: str) -> bool:
        """Whether this job has, or had last, the tenant's lock."""

    async def history(self, tenant: str) -> Sequence[Mapping[str, object]]:
        """What jobs did."""

    async def quiet(self, within: float) -> None:
        """Wait until nothing is open, resyncs that are to come included."""

    def take_out(self, worker: int) -> None:
        """Send this worker nothing more."""

    def put_back(self, worker: int) -> None:
        """Send it jobs again."""


@attrs.frozen(kw_only=True)
class RestateBackend:
    """A restate-server."""

    world: World
    routes: Routes

    @property
    def dispatcher(self) -> Dispatcher:
        return self.world.dispatcher

    async def took(self, tenant: str, job: str) -> bool:
        holder = (await self.world.status(tenant)).get("holder") or {}
        return bool(holder.get("execution_id") == job)

    async def history(self, tenant: str) -> Sequence[Mapping[str, object]]:
        return await self.world.history(tenant)

    async def quiet(self, within: float) -> None:
        async def look() -> bool:
            return not await self.world.admin.query(
                "SELECT id FROM sys_invocation"
                f" WHERE target LIKE '{self.world.service}%' AND status != 'completed'"
                " AND target_handler_name != 'forget'"
            )

        await wait_for(look, within)

    def take_out(self, worker: int) -> None:
        self.routes.out.add(worker)

    def put_back(self, worker: int) -> None:
        self.routes.out.discard(worker)


@attrs.define(kw_only=True)
class Stage:
    """All that cases are played on.

    Attributes:
        word: What Landlord says; its address is empty where workers do not know it.
    """

    ground: Ground
    backend: Backend
    word: Word
    times: Times
    workers: Sequence[Worker]

    @property
    def longest(self) -> float:
        """Seconds after the last job within which the last resync has been."""
        return 6 * self.times.step_timeout + 60

    def freeze(self, worker: int) -> None:
        """Have a worker stand still."""
        self.backend.take_out(worker)
        self.workers[worker].signal(signal.SIGSTOP)

    def thaw(self, worker: int) -> None:
        """Have it go on."""
        self.workers[worker].signal(signal.SIGCONT)
        self.backend.put_back(worker)


def worker_settings(times: Times) -> dict[str, Any]:
    """The settings of workers that go by these times."""
    step = times.step_timeout
    return {
        "step_timeout": f"{step:g}s",
        "health_timeout": f"{step / 2:g}s",
        "settle_after": f"{min(5, step / 2):g}s",
        "hold_interval": "1s",
        "drain_timeout": "5s",
    }


@asynccontextmanager
async def restate_stage(
    world: World, ground: Ground, times: Times, chance: Random, *, api: bool
) -> AsyncIterator[Stage]:
    """Start two workers behind one address; ``api`` tells whether they know Landlord's."""
    ports = (free_port(), free_port())
    async with AsyncExitStack() as ends:
        word = await ends.enter_async_context(landlords_word()) if api else Word()
        routes = await ends.enter_async_context(routed(ports, chance))
        workers = []
        for worker, port in enumerate(ports):
            settings = worker_settings(times)
            config = world.config(
                port=port, api=word.url or None, compute_provider=ground.compute, **settings
            )
            config["compute"][ground.compute] = ground.section(worker)
            config["workflow"]["restate"]["worker_advertised_url"] = routes.url
            workers.append(await (await world.launch(config)).registered())
        yield Stage(
            ground=ground,
            backend=RestateBackend(world=world, routes=routes),
            word=word,
            times=times,
            workers=workers,
        )
