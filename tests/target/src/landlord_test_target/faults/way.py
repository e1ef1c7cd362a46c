"""The way from one process to another: it can be shut, cut, spoilt, and listened to."""

import asyncio
from asyncio import StreamReader, StreamWriter
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager, suppress
from enum import StrEnum
from urllib.parse import urlsplit

import attrs

from landlord_test_target.listening import listening

__all__ = ["State", "Way", "way_to"]

PIECE = 65536
GARBAGE = b'HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: 6\r\n\r\n{"oh":'


class State(StrEnum):
    """The treatment of a connection."""

    OPEN = "open"
    SHUT = "shut"
    SPOILT = "spoilt"


async def _pass(_: bytes) -> None:
    pass


@attrs.define(kw_only=True)
class Way:
    """A proxy whose connections can be cut or stalled.

    Attributes:
        to: The server's URL.
        url: The proxy's URL.
        passing: Awaited with each piece of data before it is relayed, in either direction.
    """

    to: str
    url: str = ""
    passing: Callable[[bytes], Awaitable[None]] = _pass
    _state: State = State.OPEN
    _open: set[StreamWriter] = attrs.field(factory=set)

    def lock(self, state: State) -> None:
        """Treat new connections like this from now on, and cut the open ones."""
        self._state = state
        self.cut()

    def cut(self) -> int:
        """Cut all open connections, and return their number."""
        broken = len(self._open)
        for writer in self._open:
            writer.transport.abort()
        return broken

    async def serve(self, reader: StreamReader, writer: StreamWriter) -> None:
        """Serve one connection."""
        self._open.add(writer)
        try:
            with suppress(OSError):
                await self._treat(reader, writer)
        finally:
            self._open.discard(writer)
            writer.transport.abort()

    async def _treat(self, reader: StreamReader, writer: StreamWriter) -> None:
        if self._state is State.OPEN:
            end = urlsplit(self.to)
            beyond_reader, beyond = await asyncio.open_connection(end.hostname, end.port)
            ways = (self._pump(reader, beyond), self._pump(beyond_reader, writer))
            pumps = [asyncio.create_task(way) for way in ways]
            try:
                await asyncio.wait(pumps, return_when=asyncio.FIRST_COMPLETED)
            finally:
                for pump in pumps:
                    pump.cancel()
                await asyncio.gather(*pumps, return_exceptions=True)
                beyond.transport.abort()
        elif self._state is State.SPOILT:
            await reader.read(PIECE)
            writer.write(GARBAGE)
            await writer.drain()

    async def _pump(self, reader: StreamReader, writer: StreamWriter) -> None:
        while piece := await reader.read(PIECE):
            await self.passing(piece)
            writer.write(piece)
            await writer.drain()


@asynccontextmanager
async def way_to(url: str) -> AsyncIterator[Way]:
    """Run a proxy before this URL."""
    way = Way(to=url)
    async with listening(way.serve) as port:
        way.url = f"http://127.0.0.1:{port}"
        yield way
