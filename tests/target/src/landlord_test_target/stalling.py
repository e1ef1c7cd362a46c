"""A server's front that can fall silent: it goes on to accept and to read, and answers nothing."""

import asyncio
from asyncio import StreamReader, StreamWriter
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from urllib.parse import urlsplit

import attrs


@attrs.define
class Front:
    """Passes everything on to ``behind`` for as long as it is not silent.

    Attributes:
        asked: Set once somebody asks in vain.
    """

    behind: str
    url: str = ""
    silent: bool = False
    asked: asyncio.Event = attrs.field(factory=asyncio.Event)

    async def connected(self, reader: StreamReader, writer: StreamWriter) -> None:
        """Serve one connection."""
        behind = urlsplit(self.behind)
        back_reader, back_writer = await asyncio.open_connection(behind.hostname, behind.port)
        await asyncio.gather(
            self._pumped(reader, back_writer, asks=True),
            self._pumped(back_reader, writer, asks=False),
        )

    async def _pumped(self, reader: StreamReader, writer: StreamWriter, *, asks: bool) -> None:
        with suppress(OSError):
            while data := await reader.read(65536):
                if not self.silent:
                    writer.write(data)
                    await writer.drain()
                elif asks:
                    self.asked.set()
        writer.close()
        with suppress(OSError):
            await writer.wait_closed()


@asynccontextmanager
async def front_of(url: str, *, silent: bool = False) -> AsyncIterator[Front]:
    """Listen before the server at ``url``."""
    front = Front(url, silent=silent)
    server = await asyncio.start_server(front.connected, "127.0.0.1", 0)
    async with server:
        front.url = f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}"
        yield front
