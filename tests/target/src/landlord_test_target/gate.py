"""A front of a Docker engine that keeps back one request until it is let through.

Kept back, a request is on the wire: the engine gets it also where whoever sent it is gone by then.
"""

import asyncio
from asyncio import StreamReader, StreamWriter
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress

import attrs

SOCKET = "/var/run/docker.sock"


@attrs.define
class Gate:
    """Keeps back each request whose first line holds ``kept_back``.

    Attributes:
        host: The front's address, as the section ``compute.docker`` has it.
        arrived: Set once such a request is there.
        open: Set to let them through.
    """

    host: str = ""
    kept_back: str = " /nothing"
    arrived: asyncio.Event = attrs.field(factory=asyncio.Event)
    open: asyncio.Event = attrs.field(factory=asyncio.Event)

    async def connected(self, reader: StreamReader, writer: StreamWriter) -> None:
        """Serve one connection."""
        back_reader, back_writer = await asyncio.open_unix_connection(SOCKET)
        try:
            await asyncio.gather(
                self._pumped(reader, back_writer, asks=True),
                self._pumped(back_reader, writer, asks=False),
            )
        finally:
            writer.close()
            back_writer.close()

    async def _pumped(self, reader: StreamReader, writer: StreamWriter, *, asks: bool) -> None:
        with suppress(OSError):
            while data := await reader.read(65536):
                if asks and self.kept_back.encode() in data.split(b"\r\n", 1)[0]:
                    self.arrived.set()
                    await self.open.wait()
                writer.write(data)
                await writer.drain()
        writer.close()


@asynccontextmanager
async def gate() -> AsyncIterator[Gate]:
    """Listen before the engine of this machine."""
    front = Gate()
    server = await asyncio.start_server(front.connected, "127.0.0.1", 0)
    front.host = f"tcp://127.0.0.1:{server.sockets[0].getsockname()[1]}"
    try:
        yield front
    finally:
        front.open.set()
        server.close()
