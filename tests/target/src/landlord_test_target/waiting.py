"""Waits for the effects of processes, and free ports for them."""

import asyncio
import os
import socket
from collections.abc import Awaitable, Callable, Iterator
from contextlib import suppress
from typing import TypeVar

T = TypeVar("T")

_FIRST, _LAST, _RANGES = 10_000, 32_000, 8
_APART = 131
"""Ports between the first ports of two test processes that the system started one after the other."""


async def wait_for(condition: Callable[[], Awaitable[T]], within: float = 60.0) -> T:
    """Call ``condition`` repeatedly until it returns something, and return that."""
    try:
        async with asyncio.timeout(within):
            while not (result := await condition()):
                await asyncio.sleep(0.03)
            return result
    except TimeoutError:
        raise AssertionError(f"the condition was not met within {within} s") from None


def free_port() -> int:
    """Return a free port that no other test gets.

    The port lies below the system's range of ephemeral ports, and each process of pytest-xdist has its
    own range. So nobody else takes the port before the caller listens. No port is returned twice,
    because a restate-server that tests share knows each worker by its address.
    """
    for port in _ports:
        with suppress(OSError), socket.create_server(("127.0.0.1", port)):
            return port
    raise AssertionError("every port of this process's range is taken")


def _own_range() -> Iterator[int]:
    index = int(os.environ.get("PYTEST_XDIST_WORKER", "gw0").removeprefix("gw")) % _RANGES
    size = (_LAST - _FIRST) // _RANGES
    first, offset = _FIRST + index * size, os.getpid() * _APART % size
    return (first + (offset + step) % size for step in range(size))


_ports = _own_range()
