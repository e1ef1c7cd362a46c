"""The HTTP server that Restate calls: uvicorn with httptools. The host handles signals and shutdown."""

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
from landlord_engines_restate.endpoint.accepting import Acceptor, Connection

__all__ = ["App", "HttpServer", "open_sockets", "prevent_signal_handler"]

Scope = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[MutableMapping[str, Any]]]
Send = Callable[[MutableMapping[str, Any]], Awaitable[None]]
App = Callable[[Scope, Receive, Send], Awaitable[None]]

KEEP_ALIVE = 75
"""Seconds that an idle connection stays open; Restate closes idle connections earlier."""


class _Uvicorn(uvicorn.Server):
    """A uvicorn server that ignores signals, reports its start, and accepts through an `Acceptor`."""

    def __init__(
        self, config: uvicorn.Config, started: Callable[[], None], acceptor: Acceptor
    ) -> None:
        super().__init__(config)
        self._on_started = started
        self._acceptor = acceptor

    @contextmanager
    def capture_signals(self) -> Iterator[None]:
        """Capture no signals, because the host handles them."""
        yield

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        """Start the acceptor and report the start."""
        _ = sockets
        # With an empty list uvicorn opens no listener, so that only the acceptor accepts.
        await super().startup([])
        self._acceptor.start(self._build_connection)
        self._on_started()

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        """Stop accepting, and wait for running requests."""
        self._acceptor.stop()
        await super().shutdown(sockets)

    def _build_connection(self) -> Connection:
        return Connection(
            config=self.config, server_state=self.server_state, app_state=self.lifespan.state
        )


class HttpServer:
    """Serves one ASGI application on its sockets, once.

    Args:
        app: The application.
        most_connections: Largest number of open connections; more wait in the kernel's queue.
        logger: Logs connections that cannot be accepted.
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
        """Serve until `stop`, and close the sockets at the end."""
        try:
            if self._stopping:
                for listener in listeners:
                    listener.close()
                return
            acceptor = Acceptor(
                listeners=listeners, limit=self._most_connections, logger=self._logger
            )
            self._server = _Uvicorn(self._config, started, acceptor)
            await self._server.serve(sockets=list(listeners))
        finally:
            self._ended.set()

    async def stop(self, grace: float) -> None:
        """Stop accepting, and return once all requests have ended.

        Args:
            grace: Seconds until the requests that still run are cancelled.
        """
        self._stopping = True
        if self._server is not None:
            self._config.timeout_graceful_shutdown = max(grace, 0)  # type: ignore[assignment]  # uvicorn passes it to wait_for
            self._server.should_exit = True
            await self._ended.wait()


def open_sockets(address: str, port: int) -> list[socket.socket]:
    """Open the listening sockets; no address means all interfaces, see `open_listeners`.

    Raises:
        EngineFailed: The address is in use, or is not an address of this machine.
    """
    try:
        return open_listeners(address, port)
    except OSError as error:
        raise EngineFailed(
            f"cannot listen on {address}:{port}: {error.strerror}",
            hint=listening_hint(error, port, "workflow.restate.worker_address"),
        ) from error


async def prevent_signal_handler(app: App) -> None:
    """Keep the Restate SDK from replacing the host's handler of SIGTERM."""
    # The SDK's application installs a signal handler once, at its first call. Python allows that only
    # in the main thread. The first call is made in another thread, where it installs none (observed
    # with restate-sdk 1.3.0; a test checks this).

    async def call() -> None:
        # The application does not support lifespan, and raises ValueError before it receives anything.
        with suppress(ValueError):
            await app({"type": "lifespan"}, None, None)  # type: ignore[arg-type]  # neither is used

    await asyncio.to_thread(asyncio.run, call())
