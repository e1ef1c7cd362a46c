"""A server's front that speaks TLS, as a proxy before Landlord or Restate would."""

import asyncio
import ssl
from asyncio import StreamReader, StreamWriter
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from urllib.parse import urlsplit


@asynccontextmanager
async def tls_before(url: str, context: ssl.SSLContext) -> AsyncIterator[str]:
    """Listen with TLS and pass everything on to ``url``; the URL of the front."""
    behind = urlsplit(url)

    async def connected(reader: StreamReader, writer: StreamWriter) -> None:
        back_reader, back_writer = await asyncio.open_connection(behind.hostname, behind.port)
        await asyncio.gather(_pumped(reader, back_writer), _pumped(back_reader, writer))

    server = await asyncio.start_server(connected, "127.0.0.1", 0, ssl=context)
    async with server:
        yield f"https://127.0.0.1:{server.sockets[0].getsockname()[1]}"


async def _pumped(reader: StreamReader, writer: StreamWriter) -> None:
    with suppress(OSError):
        while data := await reader.read(65536):
            writer.write(data)
            await writer.drain()
    writer.close()
    with suppress(OSError):
        await writer.wait_closed()
