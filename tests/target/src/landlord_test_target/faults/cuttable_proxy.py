"""A TCP proxy between two processes whose connections a test can refuse, cut, corrupt or observe."""

import asyncio
from asyncio import StreamReader, StreamWriter
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager, suppress
from enum import StrEnum
from urllib.parse import urlsplit

import attrs

from landlord_test_target.tcp_server import run_tcp_server

__all__ = ["CuttableProxy", "ProxyState", "run_cuttable_proxy"]

READ_SIZE = 65536
GARBAGE = b'HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: 6\r\n\r\n{"oh":'


class ProxyState(StrEnum):
    """The state of a proxy: it relays connections, closes them, or answers garbage."""

    OPEN = "open"
    CLOSED = "closed"
    GARBAGE = "garbage"


async def _do_nothing(_: bytes) -> None:
    pass


@attrs.define(kw_only=True)
class CuttableProxy:
    """A proxy of one server.

    Attributes:
        server_url: The server's URL.
        url: The proxy's URL.
        on_data: Awaited with each piece of data before it is relayed, in either direction.
    """

    server_url: str
    url: str = ""
    on_data: Callable[[bytes], Awaitable[None]] = _do_nothing
    _state: ProxyState = ProxyState.OPEN
    _open: set[StreamWriter] = attrs.field(factory=set)

    def set_state(self, state: ProxyState) -> None:
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
                await self._serve_by_state(reader, writer)
        finally:
            self._open.discard(writer)
            writer.transport.abort()

    async def _serve_by_state(self, reader: StreamReader, writer: StreamWriter) -> None:
        if self._state is ProxyState.OPEN:
            address = urlsplit(self.server_url)
            server_reader, server_writer = await asyncio.open_connection(
                address.hostname, address.port
            )
            proxies = (self._pump(reader, server_writer), self._pump(server_reader, writer))
            pumps = [asyncio.create_task(proxy) for proxy in proxies]
            try:
                await asyncio.wait(pumps, return_when=asyncio.FIRST_COMPLETED)
            finally:
                for pump in pumps:
                    pump.cancel()
                await asyncio.gather(*pumps, return_exceptions=True)
                server_writer.transport.abort()
        elif self._state is ProxyState.GARBAGE:
            await reader.read(READ_SIZE)
            writer.write(GARBAGE)
            await writer.drain()

    async def _pump(self, reader: StreamReader, writer: StreamWriter) -> None:
        while piece := await reader.read(READ_SIZE):
            await self.on_data(piece)
            writer.write(piece)
            await writer.drain()


@asynccontextmanager
async def run_cuttable_proxy(url: str) -> AsyncIterator[CuttableProxy]:
    """Run a proxy of this URL."""
    proxy = CuttableProxy(server_url=url)
    async with run_tcp_server(proxy.serve) as port:
        proxy.url = f"http://127.0.0.1:{port}"
        yield proxy
