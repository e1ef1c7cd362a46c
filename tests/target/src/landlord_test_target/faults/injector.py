"""Injects faults, drawn from a seed, each while a call to the target is in flight."""

import asyncio
from collections.abc import Callable, Coroutine, Mapping
from random import Random
from time import time

import attrs

from landlord_test_target.faults.campaign import Campaign
from landlord_test_target.faults.cuttable_proxy import ProxyState
from landlord_test_target.faults.disk import SmallDisk
from landlord_test_target.faults.fault import LONGEST_RECOVERY, Fault, FaultTimes
from landlord_test_target.faults.fleet import Fleet
from landlord_test_target.faults.load import Load
from landlord_test_target.faults.versions import Versions
from landlord_test_target.harness import Worker

__all__ = ["Injector"]

Action = Callable[[], Coroutine[None, None, None]]

AT_LEAST_ONCE = ("latest version flipped", "disk full")
"""Faults that happen at least once, also in a short campaign."""

SHARE_WITHOUT_PAUSE = 0.3
"""The share of faults that are injected without waiting for recovery from the previous fault."""

LONGEST_RECOVERY_IN_FREEZE = 1.0
"""Seconds to wait for operations after a fault, while a worker is frozen."""

LANDLORD_OUTAGE = 2.0
"""Seconds for which Landlord's API is down, or answers garbage."""

FULL_DISK = (1.0, 5.0)
"""Seconds for which a disk is full, at least and at most."""

SECOND_OUTAGE = (5.0, 20.0)
"""Seconds for which the second version is down, at least and at most."""


@attrs.define(kw_only=True)
class Injector:
    """A series of faults, one after the other.

    Attributes:
        fault_times: The moments at which faults happen.
        kills: The number of kills.
        calm_kills: The number of kills while no worker is frozen, to measure recovery after a kill alone.
        outage: Seconds of each of the two long outages; zero for none.
        versions: The two versions of the worker; None if there is only one.
        disk: The disk under restate-server, if it can be filled.
        restarts: The number of server starts after a full disk.
    """

    campaign: Campaign
    fault_times: FaultTimes
    load: Load
    seed: int
    kills: int
    calm_kills: int = 0
    outage: float = 40.0
    versions: Versions | None = None
    disk: SmallDisk | None = None
    restarts: int = 0
    _random: Random = attrs.field(init=False)

    def __attrs_post_init__(self) -> None:
        self._random = Random(f"faults-{self.seed}")

    async def run(self, operations: int, freezing: asyncio.Task[None] | None = None) -> None:
        """Inject faults until there were enough kills and operations, and all freezes are over."""
        await self._inject_while(
            lambda: (
                len(self.load.operations) < operations
                or (freezing is not None and not freezing.done())
                or self.killed < self.kills - self.calm_kills
            )
        )
        for kind in self._missing_faults():
            await self._inject(kind, self._actions()[kind][1])
        long = self._outages() if self.outage else {}
        enough = self.killed + self.calm_kills
        await self._inject_while(lambda: self.killed < max(enough, self.kills) - len(long))
        for kind, action in long.items():
            await self._inject(kind, action, calm=True, moment="after")

    @property
    def killed(self) -> int:
        """Return the number of kills so far."""
        return sum(fault.is_kill for fault in self.fault_times.faults)

    async def _inject_while(self, is_needed: Callable[[], bool]) -> None:
        actions = self._actions()
        weights = [weight for weight, _ in actions.values()]
        while is_needed():
            (kind,) = self._random.choices(tuple(actions), weights)
            await self._inject(kind, actions[kind][1])

    def _actions(self) -> Mapping[str, tuple[float, Action]]:
        actions: dict[str, tuple[float, Action]] = {
            "worker -9": (40, self._kill_worker),
            "worker -15": (15, self._stop_worker),
            "workers -9, all": (5, self._kill_workers),
            "server -9": (15, self._kill_server),
            "connections cut": (10, self._cut_connections),
            "Landlord away": (5, self._disturb_landlord(ProxyState.CLOSED)),
            "Landlord answers garbage": (5, self._disturb_landlord(ProxyState.GARBAGE)),
        }
        if self.versions is not None:
            actions["latest version flipped"] = (8, self.versions.flip)
            actions["second version away"] = (2, self._stop_second(self.versions))
        if self.disk is not None:
            actions["disk full"] = (2, self._fill_disk)
        return actions

    def _outages(self) -> Mapping[str, Action]:
        return {
            f"workers away {self.outage:g} s": lambda: self._kill_workers(self.outage),
            f"server away {self.outage:g} s": lambda: self._kill_server(self.outage),
        }

    def _missing_faults(self) -> list[str]:
        """List the rare faults that are possible and did not happen yet."""
        happened = {fault.kind for fault in self.fault_times.faults}
        return [kind for kind in AT_LEAST_ONCE if kind in self._actions() and kind not in happened]

    async def _inject(
        self, kind: str, action: Action, *, calm: bool | None = None, moment: str = ""
    ) -> None:
        is_calm, drawn_moment = (
            self._random.random() >= SHARE_WITHOUT_PAUSE,
            self._random.choice(("before", "after")),
        )
        is_kill = kind.startswith(("worker", "server"))
        async with self.fault_times.record_at_call(
            kind, moment or drawn_moment, is_kill=is_kill
        ) as fault:
            task = asyncio.create_task(action())
            # The action sends its signal in this iteration of the event loop, while the held call is
            # still in flight.
            await asyncio.sleep(0)
        await task
        fault.recovered = time()
        if is_calm if calm is None else calm:
            await self._wait_for_work(fault)

    async def _wait_for_work(self, fault: Fault) -> None:
        # A frozen worker's jobs do not continue, and are not measured either.
        is_frozen = any(fleet.frozen for fleet in self.campaign.fleets)
        within = LONGEST_RECOVERY_IN_FREEZE if is_frozen else LONGEST_RECOVERY
        until = fault.recovered + within
        while time() < until and not all(operation.ended for operation in fault.running):
            await asyncio.sleep(0.05)

    async def _choose_awake(self) -> tuple[Fleet, Worker]:
        while not (
            awake := [(fleet, worker) for fleet in self.campaign.fleets for worker in fleet.awake]
        ):
            await asyncio.sleep(0.05)
        return self._random.choice(awake)

    async def _kill_worker(self) -> None:
        fleet, worker = await self._choose_awake()
        await fleet.kill(worker)
        await fleet.start()

    async def _stop_worker(self) -> None:
        fleet, worker = await self._choose_awake()
        await fleet.stop(worker)
        await fleet.start()

    async def _kill_workers(self, away: float = 0.0) -> None:
        ended = [(fleet, worker) for fleet in self.campaign.fleets for worker in fleet.awake]
        await asyncio.gather(*(fleet.kill(worker) for fleet, worker in ended))
        await asyncio.sleep(away)
        await asyncio.gather(*(fleet.start() for fleet, _ in ended))

    async def _kill_server(self, away: float = 0.0) -> None:
        await self.campaign.harness.restate.kill()
        await asyncio.sleep(away)
        await self.campaign.restart_server()

    async def _cut_connections(self) -> None:
        for proxy in self.campaign.proxies:
            proxy.cut()

    def _stop_second(self, versions: Versions) -> Action:
        return lambda: versions.stop_second(self._random.uniform(*SECOND_OUTAGE))

    async def _fill_disk(self) -> None:
        """Fill the disk for a while, and restart the server if it does not work afterwards."""
        assert self.disk is not None, "the fault is drawn only with a disk"
        until = time() + self._random.uniform(*FULL_DISK)
        try:
            while time() < until:
                await asyncio.to_thread(self.disk.fill)
                await asyncio.sleep(0.1)
        finally:
            self.disk.free()
        if not await self.campaign.is_server_working():
            self.restarts += 1
            await self._kill_server()

    def _disturb_landlord(self, state: ProxyState) -> Action:
        async def disturb() -> None:
            self.campaign.to_landlord.set_state(state)
            await asyncio.sleep(LANDLORD_OUTAGE)
            self.campaign.to_landlord.set_state(ProxyState.OPEN)

        return disturb
