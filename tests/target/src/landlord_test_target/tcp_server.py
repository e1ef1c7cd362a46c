"""A TCP server for tests. When its context ends, no connection and no task is left."""

import asyncio
from asyncio import StreamReader, StreamWriter
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager, suppress
from ssl import SSLContext
from typing import Protocol

import attrs

__all__ = ["Connection", "Filter", "relay", "run_tcp_server"]

_PIECE = 65536
"""Bytes that are read at once."""

Connection = tuple[StreamReader, StreamWriter]


class Filter(Protocol):
    """A callback that may delay a piece of data, and decides whether it is relayed.

    ``from_client`` is false for data from the server.
    """

    async def __call__(self, data: bytes, /, *, from_client: bool) -> bool: ...


ServeConnection = Callable[[StreamReader, StreamWriter], Awaitable[None]]


@attrs.define
class _Connections:
    """The open connections, each with the task that serves it.

    asyncio serves each connection in its own task. A closing loop cancels a task before its first step,
    and then nothing closes the connection.
    """

    serve: ServeConnection
    tasks: set[asyncio.Task[None]] = attrs.field(factory=set)
    is_closed: bool = False

    def accept(self, reader: StreamReader, writer: StreamWriter) -> None:
        """Serve this connection, unless the server has ended meanwhile."""
        if self.is_closed:
            writer.transport.abort()
            return
        task = asyncio.create_task(self._serve(reader, writer))
        self.tasks.add(task)
        task.add_done_callback(self.tasks.discard)
        task.add_done_callback(lambda _: writer.transport.abort())

    async def _serve(self, reader: StreamReader, writer: StreamWriter) -> None:
        with suppress(OSError):
            await self.serve(reader, writer)
            writer.close()
            await writer.wait_closed()

    async def close(self) -> None:
        self.is_closed = True
        tasks = list(self.tasks)
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)


@asynccontextmanager
async def run_tcp_server(
    serve: ServeConnection, *, port: int = 0, ssl: SSLContext | None = None
) -> AsyncIterator[int]:
    """Serve each connection with this function, and yield the port.

    A connection closes when the function returns, after all written data was sent.
    """
    connections = _Connections(serve)
    server = await asyncio.start_server(connections.accept, "127.0.0.1", port, ssl=ssl)
    try:
        yield server.sockets[0].getsockname()[1]
    finally:
        server.close()
        await connections.close()


async def _relay_everything(_: bytes, *, from_client: bool) -> bool:
    return True


async def relay(
    reader: StreamReader,
    writer: StreamWriter,
    server_connection: Connection,
    may_pass: Filter = _relay_everything,
) -> None:
    """Relay bytes both ways until both sides have ended, then close ``server_connection``."""
    server_reader, server_writer = server_connection

    async def pump(source: StreamReader, sink: StreamWriter, *, from_client: bool) -> None:
        with suppress(OSError):
            while data := await source.read(_PIECE):
                if await may_pass(data, from_client=from_client):
                    sink.write(data)
                    await sink.drain()
        sink.close()

    try:
        await asyncio.gather(
            pump(reader, server_writer, from_client=True),
            pump(server_reader, writer, from_client=False),
        )
        await server_writer.wait_closed()
    finally:
        server_writer.transport.abort()
