"""Short blocking work in threads, and the pauses between two polls."""

import asyncio
import time
from collections.abc import Callable, Iterator
from typing import ParamSpec, TypeVar

from landlord_engines_core.compute.in_flight import send

__all__ = ["LONGEST_WORK", "backoff_delays", "send_work"]

P = ParamSpec("P")
T = TypeVar("T")

LONGEST_WORK = 10.0
"""Seconds that one piece of work may take on a slow disk. A cancellation waits that long for it."""


async def send_work(work: Callable[P, T], *args: P.args, **kwargs: P.kwargs) -> T:
    """Run short, blocking work in a thread, as one request that changes the target."""
    # A thread cannot be stopped. If a cancellation did not wait for it, the thread would continue after
    # the release of the tenant's locks, which the work needs.
    return await send(lambda: asyncio.to_thread(work, *args, **kwargs))


def backoff_delays(timeout: float) -> Iterator[float]:
    """Yield pauses that grow from 10 to 250 ms, at least one, until the timeout is over."""
    end = time.monotonic() + timeout
    pause = 0.01
    yield pause
    while time.monotonic() < end:
        pause = min(pause * 1.5, 0.25)
        yield pause
