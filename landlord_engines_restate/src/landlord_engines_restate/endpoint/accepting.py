"""Accepts connections up to a limit; further connections wait in the kernel's queue."""

import asyncio
import math
import socket
from collections.abc import Callable, Sequence
from functools import partial
from time import monotonic

import attrs
from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol, RequestResponseCycle

from landlord_engines_core.logs import Logger

__all__ = ["Acceptor", "Connection"]

BATCH = 64
"""Connections that are accepted in one turn of the event loop."""

RETRY_INTERVAL = 0.5
"""Seconds until the next attempt to accept: after a failure, or at the limit if no connection ends."""

IDLE_AFTER = 5.0
"""Seconds after which a connection without any request counts as idle."""

LOG_INTERVAL = 10.0
"""Seconds between two log lines about connections that cannot be accepted."""


class Connection(HttpToolsProtocol):
    """A uvicorn connection that knows whether it is idle, and reports its end.

    Attributes:
        accepted_at: When it was accepted, by the acceptor's clock.
        on_end: Called once the connection has ended.
    """

    accepted_at = 0.0
    on_end: Callable[[], None] = staticmethod(lambda: None)

    def connection_lost(self, exc: Exception | None) -> None:
        """Close as uvicorn does, and report the end."""
        super().connection_lost(exc)
        self.on_end()

    def is_idle(self, now: float) -> bool:
        """Whether its last request is answered, or no request came for `IDLE_AFTER` seconds."""
        if (exchange := self._exchange) is not None:
            return exchange.response_complete
        return now - self.accepted_at > IDLE_AFTER

    def close_after_answer(self) -> None:
        """Close the connection after the current response."""
        if (exchange := self._exchange) is not None:
            exchange.keep_alive = False

    @property
    def _exchange(self) -> RequestResponseCycle | None:
        # uvicorn's type says never None, but it is None until the first request.
        return self.cycle


@attrs.define(kw_only=True, eq=False)
class Acceptor:
    """Accepts connections for uvicorn, and keeps at most ``limit`` of them open.

    At the limit, an idle connection is closed in favor of a waiting one. If none is idle, each open
    connection closes after its next response, until no connection waits.

    Attributes:
        listeners: Listening sockets; the caller closes them.
        limit: Largest number of open connections.
        logger: Logs failed accepts, at most once per `LOG_INTERVAL`.
        clock: Returns the time in seconds.
    """

    listeners: Sequence[socket.socket]
    limit: int
    logger: Logger
    clock: Callable[[], float] = monotonic
    _build: Callable[[], Connection] = attrs.field(init=False)
    _loop: asyncio.AbstractEventLoop = attrs.field(init=False)
    _open: dict[Connection, asyncio.Task[object]] = attrs.field(factory=dict, init=False)
    _retry: asyncio.TimerHandle | None = attrs.field(default=None, init=False)
    _stopped: bool = attrs.field(default=False, init=False)
    _logged_at: float = attrs.field(default=-math.inf, init=False)
    _failures: int = attrs.field(default=0, init=False)

    def start(self, build: Callable[[], Connection]) -> None:
        """Start to accept connections, in the running loop.

        Args:
            build: Builds the protocol of one connection.
        """
        self._build, self._loop = build, asyncio.get_running_loop()
        for listener in self.listeners:
            listener.setblocking(False)  # noqa: FBT003  # the signature of socket
        self._listen()

    def stop(self) -> None:
        """Stop accepting."""
        self._stopped = True
        self._pause()

    def _listen(self) -> None:
        if self._retry is not None:
            self._retry.cancel()
            self._retry = None
        if not self._stopped:
            for listener in self.listeners:
                self._loop.add_reader(listener, self._accept, listener)

    def _pause(self) -> None:
        # A listener with a waiting connection stays readable, so without a pause the loop would spin.
        for listener in self.listeners:
            self._loop.remove_reader(listener)
        if self._retry is not None:
            self._retry.cancel()
        if not self._stopped:
            self._retry = self._loop.call_later(RETRY_INTERVAL, self._listen)

    def _accept(self, listener: socket.socket) -> None:
        for _ in range(BATCH):
            if len(self._open) >= self.limit:
                self._make_room()
                self._pause()
                return
            try:
                connection, _ = listener.accept()
            except (BlockingIOError, ConnectionAbortedError):
                return
            except OSError as error:
                # For example EMFILE: the process has no file descriptor left.
                self._report(error)
                self._pause()
                return
            self._attach(connection)

    def _attach(self, accepted: socket.socket) -> None:
        connection = self._build()
        connection.accepted_at = self.clock()
        connection.on_end = partial(self._remove, connection)
        attaching = self._loop.connect_accepted_socket(lambda: connection, accepted)
        task: asyncio.Task[object] = self._loop.create_task(attaching)
        task.add_done_callback(partial(self._check_attached, connection))
        # The event loop has only weak references: without this one the task may be collected.
        self._open[connection] = task

    def _check_attached(self, connection: Connection, task: asyncio.Task[object]) -> None:
        if task.cancelled() or task.exception() is not None:
            self._remove(connection)

    def _remove(self, connection: Connection) -> None:
        self._open.pop(connection, None)
        self._listen()

    def _make_room(self) -> None:
        """Close an idle connection, or have every connection close after its response."""
        now = self.clock()
        idle = next((connection for connection in self._open if connection.is_idle(now)), None)
        if idle is not None:
            idle.transport.close()
            return
        for connection in self._open:
            connection.close_after_answer()

    def _report(self, error: OSError) -> None:
        self._failures += 1
        if self.clock() - self._logged_at >= LOG_INTERVAL:
            self.logger.warning(
                "connections cannot be accepted", reason=error.strerror, times=self._failures
            )
            self._logged_at, self._failures = self.clock(), 0
