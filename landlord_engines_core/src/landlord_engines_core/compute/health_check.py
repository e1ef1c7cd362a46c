"""Health checks of a tenant over TCP and HTTP."""

import asyncio
import re
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

__all__ = ["is_http_success", "open_connection"]

_SUCCESS = re.compile(rb"HTTP/1\.[01] [23]\d\d\b")
"""The status line of an answer from 200 to 399."""


@asynccontextmanager
async def open_connection(
    host: str, port: int
) -> AsyncIterator[tuple[asyncio.StreamReader, asyncio.StreamWriter]]:
    """Open a connection and abort it afterwards.

    Raises:
        OSError: Nothing accepts connections there.
    """
    reader, writer = await asyncio.open_connection(host, port)
    try:
        yield reader, writer
    finally:
        # Closing would wait for data that the peer does not read.
        writer.transport.abort()


async def is_http_success(host: str, port: int, path: str) -> bool:
    """Send a GET request and return whether the status is 200 to 399.

    Raises:
        OSError: Nothing accepts connections there.
        ValueError: The first line of the answer is too long for a status line.
    """
    authority = f"[{host}]:{port}" if ":" in host else f"{host}:{port}"
    request = f"GET {path} HTTP/1.1\r\nHost: {authority}\r\nConnection: close\r\n\r\n"
    async with open_connection(host, port) as (reader, writer):
        writer.write(request.encode())
        return _SUCCESS.match(await reader.readline()) is not None
