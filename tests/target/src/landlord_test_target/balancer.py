"""One TCP address in front of several: what a load balancer does for servers that come and go."""

import asyncio
from asyncio import StreamReader, StreamWriter
from collections import deque
from collections.abc import AsyncIterator, Iterable, Iterator
from contextlib import asynccontextmanager, suppress
from random import Random

import attrs

__all__ = ["Balancer", "balanced"]


@attrs.define
class Balancer:
    """Hands each connection to the next server in turn, or to one at random, that takes it.

    Attributes:
        servers: They may change at any time; connections that are there stay.
        chance: Picks the server, where it is not the next in turn.
        url: Where it listens.
    """

    servers: deque[tuple[str, int]]
    chance: Random | None = None
    url: str = ""

    def stand_before(self, *addresses: str) -> None:
        """Stand before these servers from now on, each given as host:port."""
        self.servers = deque(_parted(addresses))

    async def serve(self, reader: StreamReader, writer: StreamWriter) -> None:
        try:
            found = await self._next()
            if found is not None:
                await _joined((reader, writer), found)
        finally:
            writer.close()

    async def _next(self) -> tuple[StreamReader, StreamWriter] | None:
        for server in self._order():
            with suppress(OSError):
                return await asyncio.open_connection(*server)
        return None

    def _order(self) -> list[tuple[str, int]]:
        self.servers.rotate(-1)
        servers = list(self.servers)
        return self.chance.sample(servers, len(servers)) if self.chance else servers


@asynccontextmanager
async def balanced(
    addresses: Iterable[str], port: int = 0, chance: Random | None = None
) -> AsyncIterator[Balancer]:
    """Serve in front of these, each given as host:port."""
    balancer = Balancer(deque(_parted(addresses)), chance)
    server = await asyncio.start_server(balancer.serve, "127.0.0.1", port)
    balancer.url = f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}"
    try:
        yield balancer
    finally:
        server.close()


def _parted(addresses: Iterable[str]) -> Iterator[tuple[str, int]]:
    for address in addresses:
        host, _, port = address.rpartition(":")
        yield host, int(port)


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
