"""Faults, drawn from a seed, each while a call to the target is in flight, before or after its act."""

import asyncio
from collections.abc import Callable, Coroutine, Mapping
from random import Random
from time import time

import attrs

from landlord_test_target.faults.disk import SmallDisk
from landlord_test_target.faults.fault import WITHIN, Fault, Moments
from landlord_test_target.faults.fleet import Fleet
from landlord_test_target.faults.load import Load
from landlord_test_target.faults.stage import Stage
from landlord_test_target.faults.versions import Versions
from landlord_test_target.faults.way import State
from landlord_test_target.harness import Worker

__all__ = ["Injector"]

Deed = Callable[[], Coroutine[None, None, None]]

RARE = ("latest version flipped", "disk full")
"""Faults that happen at least once, also in a short campaign."""

STORMY = 0.3
"""The share of faults that follow before work has continued after the previous fault."""

WITHIN_FREEZE = 1.0
"""Seconds that work has to continue after a fault, while a worker is frozen."""

AWAY = 2.0
"""Seconds for which Landlord's API is down, or answers garbage."""

FULL = (1.0, 5.0)
"""Seconds for which a disk is full, at least and at most."""

SECOND_AWAY = (5.0, 20.0)
"""Seconds for which the second version is down, at least and at most."""


@attrs.define(kw_only=True)
class Injector:
    """A series of faults, one after the other.

    Attributes:
        moments: The moments at which faults happen.
        kills: The number of kills.
        calm_kills: The number of kills while no worker is frozen, to measure recovery after a kill alone.
        outage: Seconds of each of the two long outages; zero for none.
        versions: The versions that take turns; none if there is only one.
        disk: The disk under restate-server, if it can be filled.
        restarts: The number of server starts after a full disk.
    """

    stage: Stage
    moments: Moments
    load: Load
    seed: int
    kills: int
    calm_kills: int = 0
    outage: float = 40.0
    versions: Versions | None = None
    disk: SmallDisk | None = None
    restarts: int = 0
    _dice: Random = attrs.field(init=False)

    def __attrs_post_init__(self) -> None:
        self._dice = Random(f"faults-{self.seed}")

    async def run(self, operations: int, freezing: asyncio.Task[None] | None = None) -> None:
        """Inject faults until there were enough kills and operations, and all freezes are over."""
        await self._again_and_again(
            lambda: (
                len(self.load.asked) < operations
                or (freezing is not None and not freezing.done())
                or self.killed < self.kills - self.calm_kills
            )
        )
        for kind in self._missing_faults():
            await self._one(kind, self._deeds()[kind][1])
        long = self._outages() if self.outage else {}
        enough = self.killed + self.calm_kills
        await self._again_and_again(lambda: self.killed < max(enough, self.kills) - len(long))
        for kind, deed in long.items():
            await self._one(kind, deed, calm=True, moment="after")

    @property
    def killed(self) -> int:
        """Return the number of kills so far."""
        return sum(fault.is_kill for fault in self.moments.faults)

    async def _again_and_again(self, is_needed: Callable[[], bool]) -> None:
        deeds = self._deeds()
        weights = [weight for weight, _ in deeds.values()]
        while is_needed():
            (kind,) = self._dice.choices(tuple(deeds), weights)
            await self._one(kind, deeds[kind][1])

    def _deeds(self) -> Mapping[str, tuple[float, Deed]]:
        deeds: dict[str, tuple[float, Deed]] = {
            "worker -9": (40, self._worker_killed),
            "worker -15": (15, self._worker_stopped),
            "workers -9, all": (5, self._workers_killed),
            "server -9": (15, self._server_killed),
            "connections cut": (10, self._connections_cut),
            "Landlord away": (5, self._landlord(State.SHUT)),
            "Landlord answers garbage": (5, self._landlord(State.SPOILT)),
        }
        if self.versions is not None:
            deeds["latest version flipped"] = (8, self.versions.flip)
            deeds["second version away"] = (2, self._second_away(self.versions))
        if self.disk is not None:
            deeds["disk full"] = (2, self._disk_full)
        return deeds

    def _outages(self) -> Mapping[str, Deed]:
        return {
            f"workers away {self.outage:g} s": lambda: self._workers_killed(self.outage),
            f"server away {self.outage:g} s": lambda: self._server_killed(self.outage),
        }

    def _missing_faults(self) -> list[str]:
        """List the rare faults that are possible and did not happen yet."""
        came = {fault.kind for fault in self.moments.faults}
        return [kind for kind in RARE if kind in self._deeds() and kind not in came]

    async def _one(
        self, kind: str, deed: Deed, *, calm: bool | None = None, moment: str = ""
    ) -> None:
        drawn = self._dice.random() >= STORMY, self._dice.choice(("before", "after"))
        is_kill = kind.startswith(("worker", "server"))
        async with self.moments.caught(kind, moment or drawn[1], is_kill=is_kill) as fault:
            doing = asyncio.create_task(deed())
            # One turn of the loop sends the signal while the caught call is still in flight.
            await asyncio.sleep(0)
        await doing
        fault.over = time()
        if drawn[0] if calm is None else calm:
            await self._wait_for_work(fault)

    async def _wait_for_work(self, fault: Fault) -> None:
        # A frozen worker's jobs do not continue, and are not measured either.
        is_frozen = any(fleet.frozen for fleet in self.stage.fleets)
        within = WITHIN_FREEZE if is_frozen else WITHIN
        until = fault.over + within
        while time() < until and not all(operation.ended for operation in fault.running):
            await asyncio.sleep(0.05)

    async def _any_awake(self) -> tuple[Fleet, Worker]:
        while not (
            awake := [(fleet, worker) for fleet in self.stage.fleets for worker in fleet.awake]
        ):
            await asyncio.sleep(0.05)
        return self._dice.choice(awake)

    async def _worker_killed(self) -> None:
        fleet, worker = await self._any_awake()
        await fleet.kill(worker)
        await fleet.start()

    async def _worker_stopped(self) -> None:
        fleet, worker = await self._any_awake()
        await fleet.stop(worker)
        await fleet.start()

    async def _workers_killed(self, away: float = 0.0) -> None:
        ended = [(one, worker) for one in self.stage.fleets for worker in one.awake]
        await asyncio.gather(*(fleet.kill(worker) for fleet, worker in ended))
        await asyncio.sleep(away)
        await asyncio.gather(*(fleet.start() for fleet, _ in ended))

    async def _server_killed(self, away: float = 0.0) -> None:
        await self.stage.world.restate.kill()
        await asyncio.sleep(away)
        await self.stage.server_again()

    async def _connections_cut(self) -> None:
        for way in self.stage.ways:
            way.cut()

    def _second_away(self, versions: Versions) -> Deed:
        return lambda: versions.second_away(self._dice.uniform(*SECOND_AWAY))

    async def _disk_full(self) -> None:
        """Fill the disk for a while, and restart the server if it does not work afterwards."""
        assert self.disk is not None, "it is not drawn without one"
        until = time() + self._dice.uniform(*FULL)
        try:
            while time() < until:
                await asyncio.to_thread(self.disk.fill)
                await asyncio.sleep(0.1)
        finally:
            self.disk.free()
        if not await self.stage.server_works():
            self.restarts += 1
            await self._server_killed()

    def _landlord(self, state: State) -> Deed:
        async def spoilt() -> None:
            self.stage.to_landlord.lock(state)
            await asyncio.sleep(AWAY)
            self.stage.to_landlord.lock(State.OPEN)

        return spoilt
