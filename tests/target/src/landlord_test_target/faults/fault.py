"""A fault, and the moment at which it happens."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from time import time

import attrs

from landlord_test_target.faults.load import Load, Operation
from landlord_test_target.harness import Target

__all__ = ["LONGEST_RECOVERY", "Fault", "FaultTimes"]

LONGEST_RECOVERY = 5.0
"""Seconds within which operations have to be done after the killed process is back."""


@attrs.define(kw_only=True)
class Fault:
    """One fault; times are seconds since the epoch.

    Attributes:
        is_kill: Whether the fault ended a process.
        hit_call: Whether a call to the target was in flight at the fault.
        running: The operations that had a job at the fault.
        recovered: When every process was back; zero for not yet.
    """

    kind: str
    is_kill: bool = False
    at: float = attrs.field(factory=time)
    hit_call: bool = False
    running: list[Operation] = attrs.field(factory=list)
    recovered: float = 0.0


@attrs.define(kw_only=True)
class FaultTimes:
    """Times faults so that each one happens while a call to the target is in flight.

    Attributes:
        faults: All faults so far.
    """

    target: Target
    load: Load
    faults: list[Fault] = attrs.field(factory=list)
    _one_at_a_time: asyncio.Lock = attrs.field(factory=asyncio.Lock)

    @asynccontextmanager
    async def record_at_call(
        self, kind: str, moment: str, *, is_kill: bool
    ) -> AsyncIterator[Fault]:
        """Wait for a call in flight, ``before`` or ``after`` its effect, and record a fault at that time."""
        async with self._one_at_a_time:
            hit_call = await self.target.hold_next_call(moment)
            fault = Fault(kind=kind, is_kill=is_kill, hit_call=hit_call, running=self.load.running)
            self.faults.append(fault)
            try:
                yield fault
            finally:
                await self.target.release_call()
