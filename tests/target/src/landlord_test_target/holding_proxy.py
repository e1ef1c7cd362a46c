"""A proxy of a Docker daemon that holds one request until a test releases it.

A held request is in flight: the daemon receives it even if its sender has ended meanwhile.
"""

import asyncio
from asyncio import StreamReader, StreamWriter
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import attrs

from landlord_test_target.tcp_server import relay, run_tcp_server

SOCKET = "/var/run/docker.sock"


@attrs.define
class HoldingProxy:
    """A proxy that holds each request whose first line contains ``held_text``.

    Attributes:
        host: The proxy's address, as in the section ``compute.docker``.
        arrived: Set once such a request has arrived.
        released: Set to forward the held requests.
    """

    host: str = ""
    held_text: str = " /nothing"
    arrived: asyncio.Event = attrs.field(factory=asyncio.Event)
    released: asyncio.Event = attrs.field(factory=asyncio.Event)

    async def serve(self, reader: StreamReader, writer: StreamWriter) -> None:
        """Serve one connection."""
        await relay(reader, writer, await asyncio.open_unix_connection(SOCKET), self._filter)

    async def _filter(self, data: bytes, *, from_client: bool) -> bool:
        if from_client and self.held_text.encode() in data.split(b"\r\n", 1)[0]:
            self.arrived.set()
            await self.released.wait()
        return True


@asynccontextmanager
async def run_holding_proxy() -> AsyncIterator[HoldingProxy]:
    """Run a proxy of this machine's daemon."""
    proxy = HoldingProxy()
    async with run_tcp_server(proxy.serve) as port:
        proxy.host = f"tcp://127.0.0.1:{port}"
        yield proxy
