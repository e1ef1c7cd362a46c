"""A budget of connections over real sockets."""

import asyncio
import errno
import socket
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from typing import Any

import attrs
import pytest
import uvicorn
from uvicorn.server import ServerState

from landlord_engines_restate.endpoint import accepting
from landlord_engines_restate.endpoint.accepting import Acceptor, Connection
from landlord_engines_restate.endpoint.server import HttpServer, Receive, Scope, Send, open_sockets
from landlord_test_target.in_memory import RecordingLogger

REQUEST = b"GET / HTTP/1.1\r\nHost: a\r\n\r\n"


@pytest.fixture(autouse=True)
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(accepting, "RETRY_INTERVAL", 0.02)


@attrs.define(eq=False)
class App:
    """Answers once a test lets it, and knows how many requests it had at once."""

    may_answer: asyncio.Event = attrs.field(factory=asyncio.Event)
    asked: asyncio.Semaphore = attrs.field(factory=lambda: asyncio.Semaphore(0))
    now: int = 0
    most: int = 0

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        self.now += 1
        self.most = max(self.most, self.now)
        self.asked.release()
        await self.may_answer.wait()
        self.now -= 1
        length = [(b"content-length", b"0")]
        await send({"type": "http.response.start", "status": 200, "headers": length})
        await send({"type": "http.response.body", "body": b""})


@asynccontextmanager
async def serving(app: App, most: int) -> AsyncIterator[int]:
    (listener,) = listeners = open_sockets("127.0.0.1", 0)
    listening = asyncio.Event()
    server = HttpServer(app, most_connections=most, logger=RecordingLogger())
    task = asyncio.create_task(server.serve(listeners, listening.set))
    await listening.wait()
    yield listener.getsockname()[1]
    await server.stop(grace=5)
    await task


async def ask(port: int) -> bytes:
    """The first line of the answer; the connection is left to the server to close."""
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    try:
        writer.write(REQUEST)
        return await reader.readline()
    finally:
        writer.close()
        await writer.wait_closed()


async def test_connections_over_the_budget_wait_until_others_are_answered() -> None:
    app = App()
    async with serving(app, most=3) as port:
        asking = [asyncio.create_task(ask(port)) for _ in range(10)]
        for _ in range(3):
            await asyncio.wait_for(app.asked.acquire(), 10)
        app.may_answer.set()
        answers = await asyncio.wait_for(asyncio.gather(*asking), 10)

    assert set(answers) == {b"HTTP/1.1 200 OK\r\n"}
    assert app.most == 3


async def test_an_idle_connection_is_closed_for_one_that_waits() -> None:
    app = App()
    app.may_answer.set()
    async with serving(app, most=1) as port:
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        writer.write(REQUEST)
        await reader.readuntil(b"\r\n\r\n")
        answer = await asyncio.wait_for(ask(port), 10)
        rest = await asyncio.wait_for(reader.read(), 10)
        writer.close()

    assert (answer, rest) == (b"HTTP/1.1 200 OK\r\n", b"")


async def test_a_busy_connection_is_closed_after_its_answer_where_another_waits() -> None:
    app = App()
    async with serving(app, most=1) as port:
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        writer.write(REQUEST)
        await asyncio.wait_for(app.asked.acquire(), 10)
        waiting = asyncio.create_task(ask(port))
        await asyncio.sleep(0.1)
        app.may_answer.set()
        await asyncio.wait_for(reader.read(), 10)
        answer = await asyncio.wait_for(waiting, 10)
        writer.close()

    assert answer == b"HTTP/1.1 200 OK\r\n"


async def test_a_connection_without_a_request_is_closed_after_a_while(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(accepting, "IDLE_AFTER", 0.1)
    app = App()
    app.may_answer.set()
    async with serving(app, most=1) as port:
        _, silent = await asyncio.open_connection("127.0.0.1", port)
        answer = await asyncio.wait_for(ask(port), 10)
        silent.close()

    assert answer == b"HTTP/1.1 200 OK\r\n"


async def test_a_connection_may_end_after_accepting_has_stopped(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(accepting, "BATCH", 1)
    app = App()
    app.may_answer.set()
    with open_sockets("127.0.0.1", 0)[0] as real:
        acceptor = Acceptor(listeners=[real], limit=10, logger=RecordingLogger())
        acceptor.start(make(app))
        reader, writer = await asyncio.open_connection(*real.getsockname())
        writer.write(REQUEST)
        await asyncio.wait_for(reader.readuntil(b"\r\n\r\n"), 10)
        acceptor.stop()
        writer.close()
        async with asyncio.timeout(10):
            while acceptor._open:
                await asyncio.sleep(0.01)


async def test_a_stopped_server_does_not_retry_accepts(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(accepting, "RETRY_INTERVAL", 0.2)
    failures = [OSError(errno.EMFILE, "Too many open files")]
    with open_sockets("127.0.0.1", 0)[0] as real:
        listener: Any = Listener(real, failures)
        acceptor = Acceptor(listeners=[listener], limit=10, logger=RecordingLogger())
        acceptor.start(make(App()))
        _, writer = await asyncio.open_connection(*real.getsockname())
        async with asyncio.timeout(10):
            while failures:
                await asyncio.sleep(0.01)
        acceptor.stop()
        await asyncio.sleep(0.3)
        writer.close()

    assert acceptor._open == {}


@attrs.define(eq=False)
class Listener:
    """A listening socket whose accepts fail as a test says."""

    real: socket.socket
    failures: list[OSError]

    def accept(self) -> tuple[socket.socket, Any]:
        if self.failures:
            raise self.failures.pop(0)
        return self.real.accept()

    def fileno(self) -> int:
        return self.real.fileno()

    def setblocking(self, flag: bool) -> None:  # noqa: FBT001
        self.real.setblocking(flag)


def make(app: App) -> Callable[[], Connection]:
    config = uvicorn.Config(app, ws="none", lifespan="off", log_config=None)
    return lambda: Connection(config=config, server_state=ServerState(), app_state={})


async def test_failed_accepts_are_retried_and_logged_once_in_an_interval() -> None:
    app, logger = App(), RecordingLogger()
    app.may_answer.set()
    failures = [
        OSError(errno.EMFILE, "Too many open files"),
        ConnectionAbortedError(),
        OSError(errno.EMFILE, "Too many open files"),
    ]
    with open_sockets("127.0.0.1", 0)[0] as real:
        listener: Any = Listener(real, failures)
        acceptor = Acceptor(listeners=[listener], limit=10, logger=logger)
        acceptor.start(make(app))
        answer = await asyncio.wait_for(ask(real.getsockname()[1]), 10)
        acceptor.stop()

    assert answer == b"HTTP/1.1 200 OK\r\n"
    ((level, event, values),) = logger.lines
    assert (level, event) == ("warning", "connections cannot be accepted")
    assert values == {"reason": "Too many open files", "times": 1}


async def test_a_connection_that_cannot_be_attached_no_longer_counts(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    async def refuse(*_: object) -> None:
        raise OSError(errno.ENOTCONN, "gone")

    app = App()
    app.may_answer.set()
    with open_sockets("127.0.0.1", 0)[0] as real:
        acceptor = Acceptor(listeners=[real], limit=1, logger=RecordingLogger())
        acceptor.start(make(app))
        with monkeypatch.context() as patch:
            patch.setattr(acceptor, "_loop", _Refusing(acceptor._loop, refuse))
            _, writer = await asyncio.open_connection(*real.getsockname())
            async with asyncio.timeout(10):
                while not refused:
                    await asyncio.sleep(0.01)
        writer.close()
        answer = await asyncio.wait_for(ask(real.getsockname()[1]), 10)
        acceptor.stop()

    assert answer == b"HTTP/1.1 200 OK\r\n"


refused: list[socket.socket] = []


class _Refusing:
    def __init__(self, loop: asyncio.AbstractEventLoop, refuse: Callable[..., Any]) -> None:
        self._loop, self._refuse = loop, refuse

    def connect_accepted_socket(self, _: object, accepted: socket.socket) -> Any:
        accepted.close()
        refused.append(accepted)
        return self._refuse()

    def __getattr__(self, name: str) -> Any:
        return getattr(self._loop, name)
