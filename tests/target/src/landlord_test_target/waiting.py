"""Waiting for what processes do, and room for them to listen."""

import asyncio
import socket
from collections.abc import Awaitable, Callable
from typing import TypeVar

T = TypeVar("T")

_told: set[int] = set()


async def wait_for(look: Callable[[], Awaitable[T]], within: float = 30.0) -> T:
    """Look again and again until there is something to see."""
    try:
        async with asyncio.timeout(within):
            while not (found := await look()):
                await asyncio.sleep(0.03)
            return found
    except TimeoutError:
        raise AssertionError(f"not seen within {within} s") from None


def free_port() -> int:
    """A port that was free a moment ago, and that nobody else in this process was told.

    A restate-server that is shared by tests knows a worker by its address for as long as it runs.
    """
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port: int = listener.getsockname()[1]
    if port in _told:
        return free_port()
    _told.add(port)
    return port
