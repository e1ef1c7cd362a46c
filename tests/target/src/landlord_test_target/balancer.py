"""A TCP load balancer for several servers."""

import asyncio
from asyncio import StreamReader, StreamWriter
from collections import deque
from collections.abc import AsyncIterator, Iterable, Iterator
from contextlib import asynccontextmanager, suppress
from random import Random

import attrs

from landlord_test_target.tcp_server import Connection, relay, run_tcp_server

__all__ = ["Balancer", "run_balancer"]


@attrs.define
class Balancer:
    """A balancer that hands each connection to the next server, or to a random one, that accepts it.

    Attributes:
        servers: The servers; a change does not affect open connections.
        random: Picks a server at random; if None, the servers take turns.
        url: The balancer's address.
    """

    servers: deque[tuple[str, int]]
    random: Random | None = None
    url: str = ""

    def set_servers(self, *addresses: str) -> None:
        """Replace the servers, each given as host:port."""
        self.servers = deque(_split_addresses(addresses))

    async def serve(self, reader: StreamReader, writer: StreamWriter) -> None:
        """Serve one connection."""
        connection = await self._next()
        if connection is not None:
            await relay(reader, writer, connection)

    async def _next(self) -> Connection | None:
        for server in self._order():
            with suppress(OSError):
                return await asyncio.open_connection(*server)
        return None

    def _order(self) -> list[tuple[str, int]]:
        self.servers.rotate(-1)
        servers = list(self.servers)
        return self.random.sample(servers, len(servers)) if self.random else servers


@asynccontextmanager
async def run_balancer(
    addresses: Iterable[str], port: int = 0, random: Random | None = None
) -> AsyncIterator[Balancer]:
    """Run a balancer for these servers, each given as host:port."""
    balancer = Balancer(deque(_split_addresses(addresses)), random)
    async with run_tcp_server(balancer.serve, port=port) as own_port:
        balancer.url = f"http://127.0.0.1:{own_port}"
        yield balancer


def _split_addresses(addresses: Iterable[str]) -> Iterator[tuple[str, int]]:
    for address in addresses:
        host, _, port = address.rpartition(":")
        yield host, int(port)
