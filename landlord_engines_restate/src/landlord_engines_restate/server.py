"""The HTTP server that Restate calls: uvicorn with httptools, its signals and its end in our hands."""

import asyncio
import socket
from collections.abc import Awaitable, Callable, Iterator, MutableMapping, Sequence
from contextlib import contextmanager, suppress
from typing import Any

import uvicorn

from landlord_engines_core.errors import EngineFailed
from landlord_engines_core.listening import listening_hint
from landlord_engines_core.logs import Logger
from landlord_engines_core.sockets import open_listeners
from landlord_engines_restate.accepting import Acceptor, Connection

__all__ = ["App", "HttpServer", "listening_sockets", "take_no_signals"]

Scope = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[MutableMapping[str, Any]]]
Send = Callable[[MutableMapping[str, Any]], Awaitable[None]]
App = Callable[[Scope, Receive, Send], Awaitable[None]]

KEEP_ALIVE = 75
"""Seconds that an idle connection stays open; longer than Restate keeps its own."""


class _Uvicorn(uvicorn.Server):
    """A uvicorn server that leaves signals alone, says when it listens, and accepts by our rule."""

    def __init__(
        self, config: uvicorn.Config, started: Callable[[], None], acceptor: Acceptor
    ) -> None:
        super().__init__(config)
        self._on_started = started
        self._acceptor = acceptor

    @contextmanager
    def capture_signals(self) -> Iterator[None]:
        """Capture none: the host owns the signals."""
        yield

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        """Listen, and say so."""
        _ = sockets
        # Without a socket of its own it accepts nothing by itself.
        await super().startup([])
        self._acceptor.start(self._connection)
        self._on_started()

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        """Accept nothing more, and let requests end."""
        self._acceptor.stop()
        await super().shutdown(sockets)

    def _connection(self) -> Connection:
        return Connection(
            config=self.config, server_state=self.server_state, app_state=self.lifespan.state
        )


class HttpServer:
    """Serves one ASGI application on its sockets, once.

    Args:
        app: The application.
        most_connections: More are not accepted: they wait in the system's queue.
        logger: Told where connections cannot be accepted.
    """

    def __init__(self, app: App, *, most_connections: int, logger: Logger) -> None:
        self._most_connections = most_connections
        self._logger = logger
        self._config = uvicorn.Config(
            app,
            http="httptools",
            ws="none",
            lifespan="off",
            proxy_headers=False,
            access_log=False,
            log_config=None,
            server_header=False,
            date_header=False,
            timeout_keep_alive=KEEP_ALIVE,
        )
        self._server: _Uvicorn | None = None
        self._stopping = False
        self._ended = asyncio.Event()

    async def serve(self, listeners: Sequence[socket.socket], started: Callable[[], None]) -> None:
        """Serve until `stop`; the sockets are closed in the end."""
        try:
            if self._stopping:
                for listener in listeners:
                    listener.close()
                return
            acceptor = Acceptor(
                listeners=listeners, most=self._most_connections, logger=self._logger
            )
            self._server = _Uvicorn(self._config, started, acceptor)
            await self._server.serve(sockets=list(listeners))
        finally:
            self._ended.set()

    async def stop(self, grace: float) -> None:
        """Accept nothing more and return when all requests have ended.

        Args:
            grace: Seconds until the requests that still run are cancelled.
        """
        self._stopping = True
        if self._server is not None:
            self._config.timeout_graceful_shutdown = max(grace, 0)  # type: ignore[assignment]  # uvicorn hands it to wait_for
            self._server.should_exit = True
            await self._ended.wait()


def listening_sockets(host: str, port: int) -> list[socket.socket]:
    """Open the sockets to listen on; no host means all interfaces, see `open_listeners`.

    Raises:
        EngineFailed: The address is taken, or not this machine's.
    """
    try:
        return open_listeners(host, port)
    except OSError as error:
        raise EngineFailed(
            f"cannot listen on {host}:{port}: {error.strerror}",
            hint=listening_hint(error, port, "workflow.restate.worker_address"),
        ) from error


async def take_no_signals(app: App) -> None:
    """Keep the Restate SDK from taking SIGTERM away from the host.

    Its application installs a handler of its own at the first call, once. That call is made here in
    another thread, where no signal can be taken (observed with restate-sdk 1.3.0; a test guards it).
    """

    async def call() -> None:
        # It has no lifespan protocol and says so by a ValueError, before it sends or receives
        # anything; being called was all that was needed.
        with suppress(ValueError):
            await app({"type": "lifespan"}, None, None)  # type: ignore[arg-type]  # neither is used

    await asyncio.to_thread(asyncio.run, call())
