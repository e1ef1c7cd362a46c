"""Probes of a worker: /livez, /readyz and /metrics, on a separate port.

A thread with its own event loop answers them, so that they report a blocked event loop. No answer names a
tenant or contains a value of a configuration.
"""

import asyncio
import socket
from collections.abc import AsyncIterator, Callable, Iterator, Mapping, Sequence
from concurrent.futures import Future
from contextlib import asynccontextmanager, contextmanager
from functools import partial
from time import monotonic

import attrs
from aiohttp import web

from landlord_engines_core.compute.targets import TargetStatus
from landlord_engines_core.descriptors import Reserve
from landlord_engines_core.errors import ProbesFailed
from landlord_engines_core.lifecycle import EngineLifecycle, EngineState
from landlord_engines_core.listening import listening_hint
from landlord_engines_core.logs import Logger
from landlord_engines_core.metrics import Metrics
from landlord_engines_core.settings import Address
from landlord_engines_core.sockets import open_listeners
from landlord_engines_core.tenants import Slots
from landlord_engines_core.threads import start_thread

__all__ = ["Heartbeat", "Probes"]

MAX_CONNECTIONS = 16
"""Connections at once; a new one closes the oldest."""

ACCEPT_PAUSE = 0.2
"""Seconds until the next accept if the process has no descriptor left."""


@attrs.define
class Heartbeat:
    """Heartbeat that shows other threads whether an event loop runs.

    Attributes:
        interval: Seconds between two beats.
        tasks: The number of tasks at the last beat.
    """

    interval: float = 1.0
    tasks: int = attrs.field(default=0, init=False)
    _last: float = attrs.field(factory=monotonic, init=False)
    _next: asyncio.TimerHandle | None = attrs.field(default=None, init=False)

    def beat(self) -> None:
        """Beat now, and then once an interval."""
        self._last = monotonic()
        self.tasks = len(asyncio.all_tasks())
        self._next = asyncio.get_running_loop().call_later(self.interval, self.beat)

    def stop(self) -> None:
        """Stop beating."""
        if self._next is not None:
            self._next.cancel()

    def silent_for(self) -> float:
        """Return the seconds since the last beat."""
        return monotonic() - self._last


@attrs.define(kw_only=True, eq=False)
class Acceptor:
    """Accepts the probes' connections, even if the process has no descriptor left.

    At too many connections, a new one closes the oldest.
    """

    listeners: Sequence[socket.socket]
    server: web.Server
    reserve: Reserve
    _loop: asyncio.AbstractEventLoop = attrs.field(factory=asyncio.get_running_loop, init=False)
    _attaching: set[asyncio.Task[object]] = attrs.field(factory=set, init=False)
    _is_closed: bool = attrs.field(default=False, init=False)

    @contextmanager
    def open(self) -> Iterator[None]:
        """Accept connections while the context is entered, and then close the listeners."""
        for listener in self.listeners:
            listener.setblocking(False)  # noqa: FBT003  # the socket's own signature
            self._listen(listener)
        try:
            yield
        finally:
            self._is_closed = True
            for listener in self.listeners:
                self._loop.remove_reader(listener)
                listener.close()
            self.reserve.close()

    def _listen(self, listener: socket.socket) -> None:
        self.reserve.fill()
        if not self._is_closed:
            self._loop.add_reader(listener, self._accept, listener)

    def _accept(self, listener: socket.socket) -> None:
        self.reserve.fill()
        # One place is left for the new connection.
        for oldest in self.server.connections[: 1 - MAX_CONNECTIONS]:
            oldest.force_close()
        try:
            connection, _ = self.reserve.spend(listener.accept)
        except BlockingIOError:
            return
        except OSError:
            # The listener stays readable: without a pause, the loop would do nothing else.
            self._loop.remove_reader(listener)
            self._loop.call_later(ACCEPT_PAUSE, self._listen, listener)
            return
        connecting = self._loop.connect_accepted_socket(self.server, connection)
        task = self._loop.create_task(connecting)
        self._attaching.add(task)
        task.add_done_callback(self._attaching.discard)


@attrs.frozen(kw_only=True)
class Probes:
    """Probes of one worker.

    Attributes:
        lifecycle: The state of the engine and its registration.
        slots: The slots that jobs wait for.
        metrics: The metrics to render.
        longest_block: Seconds without a beat after which the event loop counts as blocked.
        longest_wait: Seconds for which all slots may be in use while a job waits for one.
        heartbeat: Heartbeat of the event loop that runs jobs.
        targets: Returns the last status of each compute engine's target.
        reserve: Spare descriptors, to answer probes when all others are in use.
    """

    lifecycle: EngineLifecycle
    slots: Slots
    metrics: Metrics
    longest_block: float = 10.0
    longest_wait: float
    heartbeat: Heartbeat = attrs.field(factory=Heartbeat)
    targets: Callable[[], Mapping[str, TargetStatus]] = dict
    reserve: Reserve = attrs.field(factory=lambda: Reserve(size=MAX_CONNECTIONS + 2))

    def why_not_alive(self) -> tuple[str, ...]:
        """List the reasons for a restart; none while the worker is alive."""
        reasons = []
        if (silent := self.heartbeat.silent_for()) > self.longest_block:
            reasons.append(f"the event loop has been blocked for {silent:.0f} s")
        if (stuck := self.slots.stuck_for()) > self.longest_wait:
            slots = f"all {self.slots.limit} slots of worker.max_concurrent_jobs"
            reasons.append(f"{slots} have been in use for {stuck:.0f} s, and jobs wait")
        return tuple(reasons)

    def why_not_ready(self) -> tuple[str, ...]:
        """List the reasons why the worker accepts no jobs; none while it is ready."""
        # The registration is no reason: Kubernetes sends nothing to a worker that is not ready, so
        # that the backend could never discover it.
        match self.lifecycle.state:
            case EngineState.SERVING:
                return ()
            case EngineState.DRAINING:
                return (f"draining: at most {self.lifecycle.seconds_left():.0f} s are left",)
            case EngineState.STOPPED:
                return ("stopped: the engine has ended",)
            case _:
                return ("starting: the engine does not listen yet",)

    @asynccontextmanager
    async def serving(self, address: Address, logger: Logger) -> AsyncIterator[None]:
        """Answer probes while the context is entered.

        Args:
            address: The address to listen on; empty for none.
            logger: Receives the address.

        Raises:
            ProbesFailed: The address is in use, or not an address of this machine.
        """
        if not address:
            yield
            return
        listeners = _listeners(address)
        host, port = listeners[0].getsockname()[:2]
        logger.info("probes listen", host=host, port=port)
        stop: Future[None] = Future()
        answering = self._run_server(listeners, stop)
        self.heartbeat.beat()
        thread = start_thread("probes", partial(asyncio.run, answering))
        try:
            yield
        finally:
            self.heartbeat.stop()
            stop.set_result(None)
            thread.join()

    async def _run_server(self, listeners: Sequence[socket.socket], stop: Future[None]) -> None:
        """Answer probes until ``stop``, in the calling thread."""
        app = web.Application()
        app.router.add_get("/livez", self._livez)
        app.router.add_get("/readyz", self._readyz)
        app.router.add_get("/metrics", self._metrics)
        runner = web.AppRunner(app, access_log=None, shutdown_timeout=1.0)
        await runner.setup()
        assert runner.server is not None, "it is set up"
        with Acceptor(listeners=listeners, server=runner.server, reserve=self.reserve).open():
            await asyncio.wrap_future(stop)
        await runner.cleanup()

    async def _livez(self, _: web.Request) -> web.Response:
        reasons = self.why_not_alive()
        return _answer(good=not reasons, body={"alive": not reasons, "reasons": reasons})

    async def _readyz(self, _: web.Request) -> web.Response:
        reasons, registration = self.why_not_ready(), self.lifecycle.registration
        body = {
            "ready": not reasons,
            "state": self.lifecycle.state,
            "reasons": reasons,
            "registration": {"state": registration.state, "detail": registration.detail},
            "targets": {name: _describe(status) for name, status in self.targets().items()},
        }
        return _answer(good=not reasons, body=body)

    async def _metrics(self, request: web.Request) -> web.Response:
        # The process metrics are read from files in /proc, which needs a descriptor.
        with self.reserve.lend():
            text, content_type = self.metrics.families.render(request.headers.get("Accept", ""))
        return web.Response(body=text, headers={"Content-Type": content_type})


def _describe(status: TargetStatus) -> Mapping[str, object]:
    detail = status.detail if status.error is None else str(status.error)
    return {"reached": status.is_reached, "detail": detail}


def _answer(*, good: bool, body: Mapping[str, object]) -> web.Response:
    return web.json_response(body, status=200 if good else 503)


def _listeners(address: Address) -> list[socket.socket]:
    host, _, port = address.rpartition(":")
    try:
        return open_listeners(host.strip("[]"), int(port))
    except OSError as error:
        raise ProbesFailed(
            f"the probes cannot listen on worker.probe_address {address}: {error.strerror}",
            hint=f"{listening_hint(error, int(port), 'worker.probe_address')}; an empty value turns the"
            " probes off",
        ) from error
