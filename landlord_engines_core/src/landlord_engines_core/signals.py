"""Signals of the host, which drain or end the process even while the event loop is blocked.

Python's handler runs between two instructions of the main thread, also during a blocking call, so
that it needs no event loop. The handler only notes the signal. A watcher thread measures the time, ends
a process that cannot end in order, and reports a blocked event loop.
"""

import asyncio
import math
import os
import signal
import threading
from collections.abc import Callable, Coroutine, Iterator
from contextlib import contextmanager
from queue import Empty, SimpleQueue
from time import monotonic
from types import FrameType
from typing import TypeVar, TypeVarTuple

import attrs
import uvloop

from landlord_engines_core.errors import EngineFailed
from landlord_engines_core.exit_codes import ExitCode
from landlord_engines_core.logs import Logger
from landlord_engines_core.plugin_frames import Engines, thread_whereabouts
from landlord_engines_core.streams import flush_log, write_error_line
from landlord_engines_core.threads import start_thread

__all__ = ["Control", "Signals", "run_async", "signals"]

T = TypeVar("T")
Ts = TypeVarTuple("Ts")

LAST_RESORT = 2.0
"""Seconds until the process ends if an engine ignores its cancellation."""

BEAT = 1.0
"""Seconds between two heartbeats of the event loop."""

LONGEST_BLOCK = 10.0
"""Seconds without a heartbeat after which the event loop counts as blocked."""

REPORT_AGAIN = 60.0
"""Seconds between two reports of a blocked event loop."""

_END = 0


@attrs.frozen(kw_only=True)
class Control:
    """Events by which the outside and a worker control each other.

    Attributes:
        stop: The first signal sets it; the worker drains.
        force: The second signal sets it; the worker ends at once.
        registered: The worker sets it once the backend sends jobs to this worker.
    """

    stop: asyncio.Event = attrs.field(factory=asyncio.Event)
    force: asyncio.Event = attrs.field(factory=asyncio.Event)
    registered: asyncio.Event = attrs.field(factory=asyncio.Event)


class HostLoop(uvloop.Loop):
    """Event loop in which only the host handles its signals."""

    owner: "Signals | None" = None

    def add_signal_handler(self, sig: int, callback: Callable[[*Ts], object], *args: *Ts) -> None:
        """Add a handler, except for a signal of the host."""
        if self.owner is not None and self.owner.claims(sig):
            return
        super().add_signal_handler(sig, callback, *args)

    def remove_signal_handler(self, sig: int) -> bool:
        """Remove a handler, except for a signal of the host."""
        if self.owner is not None and self.owner.claims(sig):
            return False
        return super().remove_signal_handler(sig)


def run_async(main: Coroutine[object, object, T]) -> T:
    """Run a coroutine on uvloop."""
    with asyncio.Runner(loop_factory=HostLoop) as runner:
        return runner.run(main)


@attrs.define(kw_only=True, eq=False)
class Signals:
    """Handles the host's signals and watches its event loop, from `start` until `stop`.

    Attributes:
        control: The events that signals set.
        engines: Names of the engines, for reports.
        logger: Receives reports of engines that block the loop or replace a signal handler.
        drain_timeout: Seconds, and a few more, until the process ends in any case. ``None`` for a
            process that ends other parts after the worker: it only ends a blocked loop, and at the
            second signal.
        longest_block: Seconds without a heartbeat after which the loop counts as blocked.
        leave: Ends the process with an exit code.
        taken: A report of the code that replaced a signal handler of the host, or empty.
    """

    control: Control
    engines: Engines
    logger: Logger
    drain_timeout: float | None
    longest_block: float = LONGEST_BLOCK
    # Not sys.exit, which a blocked main thread would never see.
    leave: Callable[[int], None] = os._exit
    taken: str = attrs.field(default="", init=False)
    _numbers: tuple[signal.Signals, ...] = attrs.field(init=False)
    _loop: asyncio.AbstractEventLoop = attrs.field(factory=asyncio.get_running_loop, init=False)
    _main: int = attrs.field(factory=threading.get_ident, init=False)
    # Its put is reentrant, so that a signal handler may call it at any moment.
    _events: SimpleQueue[int] = attrs.field(factory=SimpleQueue, init=False)
    _count: int = attrs.field(default=0, init=False)
    _seen: int = attrs.field(default=0, init=False)
    _last_beat: float = attrs.field(factory=monotonic, init=False)
    _next_beat: asyncio.TimerHandle = attrs.field(init=False)
    _leaves_at: float = attrs.field(default=math.inf, init=False)
    _reports_at: float = attrs.field(default=0.0, init=False)

    @_numbers.default
    def _choose_numbers(self) -> tuple[signal.Signals, ...]:
        # nohup ignores SIGHUP on purpose.
        hangs_up = signal.getsignal(signal.SIGHUP) is not signal.SIG_IGN
        return (signal.SIGTERM, signal.SIGINT, *((signal.SIGHUP,) if hangs_up else ()))

    def start(self) -> None:
        """Handle the signals from now on, in the main thread."""
        for number in self._numbers:
            # Runs after Python's handler, and after one that an engine set in its place.
            self._loop.add_signal_handler(number, self._note_missed, number)
            signal.signal(number, self.receive)
        if isinstance(self._loop, HostLoop):
            self._loop.owner = self
        self._beat()
        start_thread("signals", self._watch)

    def stop(self) -> None:
        """Handle no more signals. The time of a forced end stays: an engine may swallow cancellations."""
        self._next_beat.cancel()
        if isinstance(self._loop, HostLoop):
            self._loop.owner = None
        for number in self._numbers:
            self._loop.remove_signal_handler(number)
        self._events.put(_END)

    def claims(self, number: int) -> bool:
        """Whether a signal is the host's; reports the code that tries to handle it."""
        if number not in self._numbers:
            return False
        self._report_claim(number, by=str(thread_whereabouts(self._main, self.engines)))
        return True

    def receive(self, number: int, _: FrameType | None = None) -> None:
        """Note a signal; safe at any moment, since it takes no lock."""
        self._count += 1
        self._events.put(number)
        self._loop.call_soon_threadsafe(self._set_events)

    def _set_events(self) -> None:
        self._seen = self._count
        self.control.stop.set()
        if self._count > 1:
            self.control.force.set()

    def _note_missed(self, number: signal.Signals) -> None:
        """Note a signal that another handler than the host's received."""
        if self._restore_handler(number):
            self.receive(number)

    def _restore_handler(self, number: signal.Signals) -> bool:
        handler = signal.getsignal(number)
        if handler == self.receive:
            return False
        signal.signal(number, self.receive)
        module = str(getattr(handler, "__module__", ""))
        self._report_claim(number, by=f"a handler of {module or 'the system'}")
        return True

    def _report_claim(self, number: int, *, by: str) -> None:
        name = signal.Signals(number).name
        if not self.taken:
            self.logger.error("a signal of the host was taken", signal=name, by=by)
            self.taken = f"{by} replaced the host's handler of {name}"

    def _beat(self) -> None:
        self._last_beat = monotonic()
        for number in self._numbers:
            self._restore_handler(number)
        self._next_beat = self._loop.call_later(BEAT, self._beat)

    def _watch(self) -> None:
        """Measure the time in a thread, until `stop` and no forced end is due."""
        ended = False
        while not ended or self._leaves_at < math.inf:
            try:
                event = self._events.get(timeout=self._pause())
            except Empty:
                self._check_time(monotonic(), ended=ended)
                continue
            ended = ended or event == _END
            if event != _END:
                self._schedule_exit()

    def _pause(self) -> float:
        return max(0.0, min(BEAT, self._leaves_at - monotonic()))

    def _schedule_exit(self) -> None:
        forced = self._count > 1
        if self.drain_timeout is not None or forced:
            # A drain has a margin of its own, and then a cancelled engine has LAST_RESORT to end.
            late = LAST_RESORT if forced else (self.drain_timeout or 0.0) + 3 * LAST_RESORT
            self._leaves_at = min(self._leaves_at, monotonic() + late)

    def _check_time(self, now: float, *, ended: bool) -> None:
        if now >= self._leaves_at:
            self._leaves_at = math.inf
            self._end_process()
        elif not ended and now - self._last_beat > self.longest_block and now > self._reports_at:
            self._reports_at = now + REPORT_AGAIN
            whereabouts = thread_whereabouts(self._main, self.engines)
            self.logger.error(
                "the event loop is blocked",
                seconds=round(now - self._last_beat),
                by=whereabouts.engine,
                location=whereabouts.location,
            )

    def _end_process(self) -> None:
        forced = self._count > 1
        if self.drain_timeout is None and self._seen == self._count:
            # The loop runs, so that the process ends its other parts in order.
            return
        whereabouts = thread_whereabouts(self._main, self.engines)
        flush_log()
        write_error_line(
            "landlord-host: stopped at once by a second signal, without draining"
            if forced
            else f"landlord-host: {EngineFailed.code}: the drain did not end; {whereabouts} blocks it"
        )
        self.leave(ExitCode.FORCED if forced else ExitCode.FAILED)


@contextmanager
def signals(
    control: Control,
    logger: Logger,
    *,
    engines: Engines,
    drain_timeout: float | None = None,
) -> Iterator[None]:
    """Drain at the first SIGTERM, SIGINT or SIGHUP, and end at the second; see `Signals`.

    Raises:
        EngineFailed: An engine replaced a signal handler, and no other error is raised.
    """
    handling = Signals(control=control, engines=engines, logger=logger, drain_timeout=drain_timeout)
    handling.start()
    try:
        yield
    finally:
        handling.stop()
    if handling.taken:
        raise EngineFailed(
            handling.taken,
            hint="report it to the engine's authors: only the host may handle signals",
        )
