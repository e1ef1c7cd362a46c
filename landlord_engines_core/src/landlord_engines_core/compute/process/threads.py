"""Work in threads that changes a tenant's folder or its processes."""

import asyncio
from collections.abc import Callable
from typing import ParamSpec, TypeVar

from landlord_engines_core.compute.in_flight import send

__all__ = ["LONGEST_WORK", "send_work"]

P = ParamSpec("P")
T = TypeVar("T")

LONGEST_WORK = 10.0
"""Seconds that one piece of work may take on a slow disk; a cancellation waits no longer for it."""


async def send_work(work: Callable[P, T], *args: P.args, **kwargs: P.kwargs) -> T:
    """Run short, blocking work in a thread, as one request that changes the target.

    A thread cannot be stopped: without that it would go on when the locks that it needs are released.
    """
    return await send(lambda: asyncio.to_thread(work, *args, **kwargs))
