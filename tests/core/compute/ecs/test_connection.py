"""A response of AWS that is not read to its end is closed."""

import asyncio
from typing import Any

import pytest
from aiobotocore.httpsession import AIOHTTPSession
from botocore.awsrequest import AWSPreparedRequest
from botocore.compat import HTTPHeaders

from landlord_engines_core.compute.ecs.connection import BoundedSession


class Recorder(AIOHTTPSession):
    """Keeps the response whose body `BoundedSession` is about to read."""

    def __init__(self) -> None:
        super().__init__()
        self.raw: asyncio.Future[Any] = asyncio.get_running_loop().create_future()

    async def send(self, request: Any) -> Any:
        answer: Any = await super().send(request)
        self.raw.set_result(answer.raw)
        return answer


class RecordingSession(BoundedSession, Recorder):
    pass


async def serve_half(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    """Send a part of a body, and wait for the client to close the connection."""
    writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\nhalf")
    await reader.read()
    writer.close()


async def test_a_response_is_closed_by_a_cancellation_in_the_middle_of_its_body() -> None:
    server = await asyncio.start_server(serve_half, "127.0.0.1", 0)
    port = server.sockets[0].getsockname()[1]
    request = AWSPreparedRequest(
        "GET", f"http://127.0.0.1:{port}/", HTTPHeaders(), None, stream_output=False
    )

    async with server, RecordingSession() as session:
        sending = asyncio.create_task(session.send(request))
        raw = await session.raw
        assert not raw.closed
        sending.cancel()
        with pytest.raises(asyncio.CancelledError):
            await sending

        assert raw.closed
