"""Accepting connections within a budget: those beyond it wait in the system's queue."""

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

AT_ONCE = 64
"""Connections accepted before the event loop does something else."""

LOOK_AGAIN = 0.5
"""Seconds until the next try where nothing could be accepted and nobody has left."""

SILENT = 5.0
"""Seconds after which a connection without any request counts as idle."""

LOG_INTERVAL = 10.0
"""Seconds between two lines about connections that cannot be accepted."""


class Connection(HttpToolsProtocol):
    """A connection of uvicorn's that says what it does, and when it is over.

    Attributes:
        accepted: When it was, by the acceptor's clock.
        left: Called once it is over.
    """

    accepted = 0.0
    left: Callable[[], None] = staticmethod(lambda: None)

    def connection_lost(self, exc: Exception | None) -> None:
        """End, and say so."""
        super().connection_lost(exc)
        self.left()

    def is_idle(self, now: float) -> bool:
        """Whether it has answered, or was never asked anything for a while."""
        if (exchange := self._exchange) is not None:
            return exchange.response_complete
        return now - self.accepted > SILENT

    def end_after_answer(self) -> None:
        """Have it closed after the answer that is under way."""
        if (exchange := self._exchange) is not None:
            exchange.keep_alive = False

    @property
    def _exchange(self) -> RequestResponseCycle | None:
        # Declared as never missing, and missing until the first request.
        return self.cycle


@attrs.define(kw_only=True, eq=False)
class Acceptor:
    """Accepts connections for uvicorn, and holds ``most`` of them at once.

    Where another one waits, an idle connection is closed for it; where none is idle, each is closed
    after its next answer until nobody waits. An accept that fails is tried again a little later.

    Attributes:
        listeners: They listen; whoever made them closes them.
        most: Connections at once.
        logger: Told of accepts that fail, once in a while.
        clock: Tells the time in seconds.
    """

    listeners: Sequence[socket.socket]
    most: int
    logger: Logger
    clock: Callable[[], float] = monotonic
    _make: Callable[[], Connection] = attrs.field(init=False)
    _loop: asyncio.AbstractEventLoop = attrs.field(init=False)
    _open: dict[Connection, asyncio.Task[object]] = attrs.field(factory=dict, init=False)
    _again: asyncio.TimerHandle | None = attrs.field(default=None, init=False)
    _stopped: bool = attrs.field(default=False, init=False)
    _logged: float = attrs.field(default=-math.inf, init=False)
    _failed: int = attrs.field(default=0, init=False)

    def start(self, make: Callable[[], Connection]) -> None:
        """Accept from now on, in the running loop.

        Args:
            make: Makes the protocol of one connection.
        """
        self._make, self._loop = make, asyncio.get_running_loop()
        for listener in self.listeners:
            listener.setblocking(False)  # noqa: FBT003  # the socket's own signature
        self._listen()

    def stop(self) -> None:
        """Accept nothing any more."""
        self._stopped = True
        self._pause()

    def _listen(self) -> None:
        if self._again is not None:
            self._again.cancel()
            self._again = None
        if not self._stopped:
            for listener in self.listeners:
                self._loop.add_reader(listener, self._accept, listener)

    def _pause(self) -> None:
        for listener in self.listeners:
            self._loop.remove_reader(listener)
        if self._again is not None:
            self._again.cancel()
        if not self._stopped:
            self._again = self._loop.call_later(LOOK_AGAIN, self._listen)

    def _accept(self, listener: socket.socket) -> None:
        for _ in range(AT_ONCE):
            if len(self._open) >= self.most:
                self._make_room()
                self._pause()
                return
            try:
                connection, _ = listener.accept()
            except (BlockingIOError, ConnectionAbortedError):
                return
            except OSError as error:
                self._report(error)
                self._pause()
                return
            self._attach(connection)

    def _attach(self, accepted: socket.socket) -> None:
        connection = self._make()
        connection.accepted = self.clock()
        connection.left = partial(self._left, connection)
        attaching = self._loop.connect_accepted_socket(lambda: connection, accepted)
        task: asyncio.Task[object] = self._loop.create_task(attaching)
        task.add_done_callback(partial(self._attached, connection))
        # The task is kept, or nobody would.
        self._open[connection] = task

    def _attached(self, connection: Connection, task: asyncio.Task[object]) -> None:
        if task.cancelled() or task.exception() is not None:
            self._left(connection)

    def _left(self, connection: Connection) -> None:
        self._open.pop(connection, None)
        self._listen()

    def _make_room(self) -> None:
        """Have somebody leave for the one that waits."""
        now = self.clock()
        idle = next((one for one in self._open if one.is_idle(now)), None)
        if idle is not None:
            idle.transport.close()
            return
        for connection in self._open:
            connection.end_after_answer()

    def _report(self, error: OSError) -> None:
        self._failed += 1
        if self.clock() - self._logged >= LOG_INTERVAL:
            self.logger.warning(
                "connections cannot be accepted", reason=error.strerror, times=self._failed
            )
            self._logged, self._failed = self.clock(), 0
