"""One TCP address in front of several: what a load balancer does for servers that come and go."""

import asyncio
from asyncio import StreamReader, StreamWriter
from collections import deque
from collections.abc import AsyncIterator, Iterable
from contextlib import asynccontextmanager, suppress

import attrs

__all__ = ["Balancer", "balanced"]


@attrs.define
class Balancer:
    """Hands each connection to the next server in turn that takes it.

    Attributes:
        url: Where it listens.
    """

    servers: deque[tuple[str, int]]
    url: str = ""

    async def serve(self, reader: StreamReader, writer: StreamWriter) -> None:
        try:
            found = await self._next()
            if found is not None:
                await _joined((reader, writer), found)
        finally:
            writer.close()

    async def _next(self) -> tuple[StreamReader, StreamWriter] | None:
        for _ in range(len(self.servers)):
            self.servers.rotate(-1)
            with suppress(OSError):
                return await asyncio.open_connection(*self.servers[0])
        return None


@asynccontextmanager
async def balanced(addresses: Iterable[str], port: int = 0) -> AsyncIterator[Balancer]:
    """Serve in front of these, each given as host:port."""
    parts = (address.rpartition(":") for address in addresses)
    balancer = Balancer(deque((host, int(number)) for host, _, number in parts))
    server = await asyncio.start_server(balancer.serve, "127.0.0.1", port)
    balancer.url = f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}"
    try:
        yield balancer
    finally:
        server.close()


async def _joined(
    one: tuple[StreamReader, StreamWriter], other: tuple[StreamReader, StreamWriter]
) -> None:
    """Carry bytes both ways; where one side goes, so does the other."""
    ways = [
        asyncio.create_task(_carry(one[0], other[1])),
        asyncio.create_task(_carry(other[0], one[1])),
    ]
    try:
        await asyncio.wait(ways)
    finally:
        for way in ways:
            way.cancel()
        other[1].close()


async def _carry(reader: StreamReader, writer: StreamWriter) -> None:
    with suppress(OSError):
        while data := await reader.read(65536):
            writer.write(data)
            await writer.drain()
    writer.close()
