"""A fault, and the moment at which it happens."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from time import time

import attrs

from landlord_test_target.faults.load import Load, Operation
from landlord_test_target.harness import Target

__all__ = ["WITHIN", "Fault", "Moments"]

WITHIN = 5.0
"""Seconds in which work is done once whoever was killed is back."""


@attrs.define(kw_only=True)
class Fault:
    """One fault; times are seconds since the epoch.

    Attributes:
        is_kill: Whether the fault ended a process.
        landed: Whether a call to the target was in flight at the fault.
        running: The operations that had a job at the fault.
        over: When every process was back; zero for not yet.
    """

    kind: str
    is_kill: bool = False
    at: float = attrs.field(factory=time)
    landed: bool = False
    running: list[Operation] = attrs.field(factory=list)
    over: float = 0.0


@attrs.define(kw_only=True)
class Moments:
    """The moments of faults: each one happens while a call to the target is in flight.

    Attributes:
        faults: All faults so far.
    """

    target: Target
    load: Load
    faults: list[Fault] = attrs.field(factory=list)
    _one: asyncio.Lock = attrs.field(factory=asyncio.Lock)

    @asynccontextmanager
    async def caught(self, kind: str, moment: str, *, is_kill: bool) -> AsyncIterator[Fault]:
        """Wait for a call in flight, ``before`` its act or ``after`` it, and record a fault there."""
        async with self._one:
            landed = await self.target.catch(moment)
            fault = Fault(kind=kind, is_kill=is_kill, landed=landed, running=self.load.running)
            self.faults.append(fault)
            try:
                yield fault
            finally:
                await self.target.let_go()
