"""A proxy of two workers with one address: a job may name the worker that runs it.

All other requests go to a random worker. Each request has its own connection.
"""

import asyncio
import re
from asyncio import StreamReader, StreamWriter
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager, suppress
from random import Random

import attrs

from landlord_test_target.tcp_server import Connection, relay, run_tcp_server

__all__ = ["Router", "run_router"]

_ROUTE = re.compile(rb'"route": "(\d)"')
_LONGEST_BEGINNING = 65536
"""Maximum bytes of a job's body that the router reads to find the worker's number."""


@attrs.define(kw_only=True)
class Router:
    """Forwards requests to one of the workers.

    Attributes:
        ports: The ports of the workers.
        random: Picks a worker.
        excluded: The workers that get no requests at present.
        url: The address of the proxy.
    """

    ports: Sequence[int]
    random: Random
    excluded: set[int] = attrs.field(factory=set)
    url: str = ""

    async def serve(self, reader: StreamReader, writer: StreamWriter) -> None:
        """Serve one request."""
        try:
            head = await reader.readuntil(b"\r\n\r\n")
        except asyncio.IncompleteReadError:
            return
        beginning = await self._read_beginning(head, reader)
        connection = await self._connect(beginning)
        # Each request gets its own connection, so a kept connection cannot bind later requests to a worker.
        connection[1].write(head[:-2] + b"connection: close\r\n\r\n" + beginning)
        await relay(reader, writer, connection)

    async def _connect(self, beginning: bytes) -> Connection:
        first, *others = self._order(beginning)
        with suppress(OSError):
            return await asyncio.open_connection("127.0.0.1", first)
        # The chosen worker does not listen yet.
        return await asyncio.open_connection("127.0.0.1", others[0] if others else first)

    def _order(self, beginning: bytes) -> list[int]:
        """The ports of the workers that are up, in the order in which they are tried."""
        up = [worker for worker in range(len(self.ports)) if worker not in self.excluded]
        self.random.shuffle(up)
        if named := _ROUTE.search(beginning):
            up.sort(key=lambda worker: worker != int(named[1]))
        return [self.ports[worker] for worker in up]

    @staticmethod
    async def _read_beginning(head: bytes, reader: StreamReader) -> bytes:
        """Read as much of the body as is needed to route a job."""
        beginning = b""
        is_job = b"/execute " in head.split(b"\r\n", 1)[0]
        while is_job and len(beginning) < _LONGEST_BEGINNING and not _ROUTE.search(beginning):
            if not (data := await reader.read(_LONGEST_BEGINNING)):
                break
            beginning += data
        return beginning


@asynccontextmanager
async def run_router(ports: Sequence[int], random: Random) -> AsyncIterator[Router]:
    """Run the proxy."""
    router = Router(ports=ports, random=random)
    async with run_tcp_server(router.serve) as port:
        router.url = f"http://127.0.0.1:{port}"
        yield router
