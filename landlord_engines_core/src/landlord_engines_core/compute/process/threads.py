"""Work in threads that is over when its caller goes on, cancelled or not."""

import asyncio
from collections.abc import Callable
from typing import ParamSpec, TypeVar

__all__ = ["to_the_end"]

P = ParamSpec("P")
T = TypeVar("T")


async def to_the_end(work: Callable[P, T], *args: P.args, **kwargs: P.kwargs) -> T:
    """Run short, blocking work in a thread; a caller that is cancelled waits for its end.

    Otherwise it would go on when the locks that it needs are given back.
    """
    working = asyncio.ensure_future(asyncio.to_thread(work, *args, **kwargs))
    try:
        return await asyncio.shield(working)
    except asyncio.CancelledError:
        await asyncio.wait([working])
        raise
