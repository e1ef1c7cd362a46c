import asyncio
import logging
import signal
from collections.abc import MutableMapping
from typing import Any

import aiohttp
import pytest
import restate

from landlord_engines_core.errors import EngineFailed
from landlord_engines_restate.endpoint.server import (
    App,
    HttpServer,
    Receive,
    Scope,
    Send,
    open_sockets,
    prevent_signal_handler,
)
from landlord_engines_restate.engine import DISCOVERY_GRACE, _discovery_only
from landlord_test_target.in_memory import RecordingLogger


async def hello(scope: Scope, receive: Receive, send: Send) -> None:
    _ = scope, receive
    await send({"type": "http.response.start", "status": 200, "headers": []})
    await send({"type": "http.response.body", "body": b"hello"})


async def status_of(app: App, path: str) -> int:
    listeners = open_sockets("127.0.0.1", 0)
    url = f"http://127.0.0.1:{listeners[0].getsockname()[1]}{path}"
    server, listening = (
        HttpServer(app, most_connections=10, logger=RecordingLogger()),
        asyncio.Event(),
    )
    serving = asyncio.create_task(server.serve(listeners, listening.set))
    await listening.wait()
    async with aiohttp.ClientSession() as session, session.get(url) as response:
        status = response.status
    await server.stop(grace=1)
    await server.stop(grace=1)
    await serving
    return status


async def test_a_server_serves_until_it_is_stopped_twice() -> None:
    assert await status_of(hello, "/") == 200


async def test_a_server_on_all_interfaces_answers_on_both_families() -> None:
    listeners, listening = open_sockets("", 0), asyncio.Event()
    port = listeners[0].getsockname()[1]
    server = HttpServer(hello, most_connections=10, logger=RecordingLogger())
    serving = asyncio.create_task(server.serve(listeners, listening.set))
    await listening.wait()

    async with aiohttp.ClientSession() as session:
        for host in ("127.0.0.1", "[::1]"):
            async with session.get(f"http://{host}:{port}/") as response:
                assert response.status == 200
    await server.stop(grace=1)
    await serving


async def test_a_server_stopped_before_its_start_never_listens() -> None:
    server = HttpServer(hello, most_connections=10, logger=RecordingLogger())
    listeners = open_sockets("127.0.0.1", 0)

    await server.stop(grace=0)
    await server.serve(listeners, lambda: pytest.fail("it listens"))

    assert [listener.fileno() for listener in listeners] == [-1]


async def test_a_connection_that_is_open_after_a_discovery_is_no_error(
    caplog: pytest.LogCaptureFixture,
) -> None:
    (listener,) = listeners = open_sockets("127.0.0.1", 0)
    url = f"http://127.0.0.1:{listener.getsockname()[1]}/"
    server, listening = (
        HttpServer(hello, most_connections=10, logger=RecordingLogger()),
        asyncio.Event(),
    )
    serving = asyncio.create_task(server.serve(listeners, listening.set))
    await listening.wait()

    async with aiohttp.ClientSession() as session:
        async with session.get(url) as response:
            await response.read()
        await server.stop(DISCOVERY_GRACE)
    await serving

    assert [line for line in caplog.records if line.levelno >= logging.WARNING] == []


async def test_a_server_for_a_dry_run_answers_discovery_and_no_job() -> None:
    app = _discovery_only(hello)

    assert await status_of(app, "/discover") == 200
    assert await status_of(app, "/invoke/TenantProvisioning/execute") == 503


def test_an_address_that_is_taken_is_named() -> None:
    (first,) = open_sockets("127.0.0.1", 0)
    with first, pytest.raises(EngineFailed, match="cannot listen on"):
        open_sockets(*first.getsockname())


async def test_the_sdk_cannot_take_the_hosts_signal() -> None:
    received = asyncio.Event()
    loop = asyncio.get_running_loop()
    loop.add_signal_handler(signal.SIGTERM, received.set)
    app: App = restate.app([])
    await prevent_signal_handler(app)

    async def receive() -> MutableMapping[str, Any]:
        return {"type": "http.request", "body": b"", "more_body": False}

    async def send(_: MutableMapping[str, Any]) -> None:
        """Ignore the answer."""

    await app({"type": "http", "path": "/health", "headers": []}, receive, send)
    signal.raise_signal(signal.SIGTERM)

    await asyncio.wait_for(received.wait(), 5)
    loop.remove_signal_handler(signal.SIGTERM)
