"""Faults, drawn from a seed, each while the target has a call in hand, before or after its act."""

import asyncio
import signal
from collections.abc import Callable, Coroutine, Mapping
from random import Random
from time import time

import attrs

from landlord_test_target.faults.load import Load, Operation
from landlord_test_target.faults.stage import Stage
from landlord_test_target.faults.way import State

__all__ = ["WITHIN", "Fault", "Injector"]

Deed = Callable[[], Coroutine[None, None, None]]

STORMY = 0.3
"""How often a fault comes before work has gone on after the one before it."""

WITHIN = 5.0
"""Seconds in which work is done once whoever was killed is back."""

AWAY = 2.0
"""Seconds for which Landlord's API is away, or answers garbage."""


@attrs.define(kw_only=True)
class Fault:
    """One fault; times are seconds of the clock.

    Attributes:
        is_kill: Whether a process was ended by it.
        landed: Whether the target had a call in hand as it came.
        running: The operations with a job, when it came.
        over: When all was there again; zero is not yet.
    """

    kind: str
    is_kill: bool
    at: float = attrs.field(factory=time)
    landed: bool = False
    running: list[Operation] = attrs.field(factory=list)
    over: float = 0.0


@attrs.define(kw_only=True)
class Injector:
    """Does the faults, one after the other.

    Attributes:
        kills: So many there are.
        outage: Seconds of the two long outages among them; none where it is zero.
    """

    stage: Stage
    load: Load
    seed: int
    kills: int
    outage: float = 40.0
    faults: list[Fault] = attrs.field(factory=list)

    async def run(self, operations: int) -> None:
        """Do faults until there were enough kills, and enough operations were asked for."""
        dice = Random(f"faults-{self.seed}")
        long = self._outages() if self.outage else {}
        deeds: Mapping[str, tuple[float, Deed]] = {
            "worker -9": (45, self._worker_killed),
            "worker -15": (15, self._worker_stopped),
            "server -9": (20, self._server_killed),
            "connections cut": (10, self._connections_cut),
            "Landlord away": (5, self._landlord(State.SHUT)),
            "Landlord answers garbage": (5, self._landlord(State.SPOILT)),
        }
        weights = [weight for weight, _ in deeds.values()]
        while self.killed < self.kills - len(long) or len(self.load.asked) < operations:
            (kind,) = dice.choices(tuple(deeds), weights)
            calm, moment = dice.random() >= STORMY, dice.choice(("before", "after"))
            await self._one(kind, deeds[kind][1], calm=calm, moment=moment)
        for kind, deed in long.items():
            await self._one(kind, deed, calm=True, moment="after")

    @property
    def killed(self) -> int:
        """How many kills there were."""
        return sum(one.is_kill for one in self.faults)

    def _outages(self) -> Mapping[str, Deed]:
        return {
            f"worker away {self.outage:g} s": lambda: self._worker_killed(self.outage),
            f"server away {self.outage:g} s": lambda: self._server_killed(self.outage),
        }

    async def _one(self, kind: str, deed: Deed, *, calm: bool, moment: str) -> None:
        target = self.stage.world.target
        landed = await target.catch(moment)
        fault = Fault(kind=kind, is_kill=kind.startswith(("worker", "server")), landed=landed)
        fault.running = self.load.running
        self.faults.append(fault)
        doing = asyncio.create_task(deed())
        # The signal is sent before anything is waited for: the call is in hand as it comes.
        await asyncio.sleep(0)
        await target.let_go()
        await doing
        fault.over = time()
        while calm and time() < fault.over + WITHIN and not all(one.ended for one in fault.running):
            await asyncio.sleep(0.05)

    async def _worker_killed(self, away: float = 0.0) -> None:
        assert self.stage.worker.lives, self.stage.worker.text()
        await self.stage.worker.kill()
        await asyncio.sleep(away)
        await self.stage.worker_again()

    async def _worker_stopped(self) -> None:
        self.stage.worker.signal(signal.SIGTERM)
        assert await self.stage.worker.ended() == 0, self.stage.worker.text()
        await self.stage.worker_again()

    async def _server_killed(self, away: float = 0.0) -> None:
        await self.stage.world.restate.kill()
        await asyncio.sleep(away)
        await self.stage.server_again()

    async def _connections_cut(self) -> None:
        for way in self.stage.ways:
            way.cut()

    def _landlord(self, state: State) -> Deed:
        async def spoilt() -> None:
            self.stage.to_landlord.turn(state)
            await asyncio.sleep(AWAY)
            self.stage.to_landlord.turn(State.OPEN)

        return spoilt
