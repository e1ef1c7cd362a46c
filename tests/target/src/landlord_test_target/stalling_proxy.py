"""A proxy that can stop to answer: it still accepts connections and reads requests."""

import asyncio
from asyncio import StreamReader, StreamWriter
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from urllib.parse import urlsplit

import attrs

from landlord_test_target.tcp_server import relay, run_tcp_server


@attrs.define
class StallingProxy:
    """A proxy of the server at ``server_url``, which relays everything unless it is silent.

    Attributes:
        request_ignored: Set once a request got no answer.
    """

    server_url: str
    url: str = ""
    silent: bool = False
    request_ignored: asyncio.Event = attrs.field(factory=asyncio.Event)

    async def serve(self, reader: StreamReader, writer: StreamWriter) -> None:
        """Serve one connection."""
        server = urlsplit(self.server_url)
        connection = await asyncio.open_connection(server.hostname, server.port)
        await relay(reader, writer, connection, self._filter)

    async def _filter(self, _: bytes, *, from_client: bool) -> bool:
        if self.silent and from_client:
            self.request_ignored.set()
        return not self.silent


@asynccontextmanager
async def run_stalling_proxy(url: str, *, silent: bool = False) -> AsyncIterator[StallingProxy]:
    """Run a proxy of the server at ``url``."""
    proxy = StallingProxy(url, silent=silent)
    async with run_tcp_server(proxy.serve) as port:
        proxy.url = f"http://127.0.0.1:{port}"
        yield proxy
