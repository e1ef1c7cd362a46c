"""A TLS proxy, as operators may run before Landlord or Restate."""

import asyncio
import ssl
from asyncio import StreamReader, StreamWriter
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from urllib.parse import urlsplit

from landlord_test_target.tcp_server import relay, run_tcp_server


@asynccontextmanager
async def run_tls_proxy(url: str, context: ssl.SSLContext) -> AsyncIterator[str]:
    """Run a TLS proxy before ``url``, and yield the proxy's URL."""
    server = urlsplit(url)

    async def serve(reader: StreamReader, writer: StreamWriter) -> None:
        connection = await asyncio.open_connection(server.hostname, server.port)
        await relay(reader, writer, connection)

    async with run_tcp_server(serve, ssl=context) as port:
        yield f"https://127.0.0.1:{port}"
