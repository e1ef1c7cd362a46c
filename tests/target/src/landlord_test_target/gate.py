"""A front of a Docker engine that keeps back one request until it is let through.

Kept back, a request is on the wire: the engine gets it also where whoever sent it is gone by then.
"""

import asyncio
from asyncio import StreamReader, StreamWriter
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import attrs

from landlord_test_target.listening import listening, relay

SOCKET = "/var/run/docker.sock"


@attrs.define
class Gate:
    """A proxy that holds each request whose first line contains ``kept_back``.

    Attributes:
        host: The proxy's address, as in the section ``compute.docker``.
        arrived: Set once such a request has arrived.
        open: Set to let them through.
    """

    host: str = ""
    kept_back: str = " /nothing"
    arrived: asyncio.Event = attrs.field(factory=asyncio.Event)
    open: asyncio.Event = attrs.field(factory=asyncio.Event)

    async def connected(self, reader: StreamReader, writer: StreamWriter) -> None:
        """Serve one connection."""
        await relay(reader, writer, await asyncio.open_unix_connection(SOCKET), self._passing)

    async def _passing(self, data: bytes, *, asks: bool) -> bool:
        if asks and self.kept_back.encode() in data.split(b"\r\n", 1)[0]:
            self.arrived.set()
            await self.open.wait()
        return True


@asynccontextmanager
async def gate() -> AsyncIterator[Gate]:
    """Run a proxy before this machine's daemon."""
    front = Gate()
    async with listening(front.connected) as port:
        front.host = f"tcp://127.0.0.1:{port}"
        yield front
