"""A proxy that can fall silent: it still accepts and reads, but answers nothing."""

import asyncio
from asyncio import StreamReader, StreamWriter
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from urllib.parse import urlsplit

import attrs

from landlord_test_target.tcp_server import relay, run_tcp_server


@attrs.define
class StallingProxy:
    """A proxy before ``behind``, which relays everything unless it is silent.

    Attributes:
        asked: Set once a request got no answer.
    """

    server_url: str
    url: str = ""
    silent: bool = False
    request_ignored: asyncio.Event = attrs.field(factory=asyncio.Event)

    async def serve(self, reader: StreamReader, writer: StreamWriter) -> None:
        """Serve one connection."""
        behind = urlsplit(self.server_url)
        beyond = await asyncio.open_connection(behind.hostname, behind.port)
        await relay(reader, writer, beyond, self._filter)

    async def _filter(self, _: bytes, *, asks: bool) -> bool:
        if self.silent and asks:
            self.request_ignored.set()
        return not self.silent


@asynccontextmanager
async def run_stalling_proxy(url: str, *, silent: bool = False) -> AsyncIterator[StallingProxy]:
    """Run a proxy before the server at ``url``."""
    front = StallingProxy(url, silent=silent)
    async with run_tcp_server(front.serve) as port:
        front.url = f"http://127.0.0.1:{port}"
        yield front
