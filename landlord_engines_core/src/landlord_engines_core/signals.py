"""Signals of the host: they drain or end it, also where the event loop is blocked.

Python's own handler runs between two instructions of the main thread and in the midst of a blocked
call, so that it needs no loop. It only tells: a thread of its own measures the time, ends a process
that cannot end itself, and reports an event loop that stands still.
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
from landlord_engines_core.logs import Logger, flush
from landlord_engines_core.plugin_frames import Engines, thread_whereabouts
from landlord_engines_core.streams import tell
from landlord_engines_core.threads import start_thread

__all__ = ["Control", "Signals", "run_async", "signals"]

T = TypeVar("T")
Ts = TypeVarTuple("Ts")

LAST_RESORT = 2.0
"""Seconds after which a process ends whose engine does not let itself be cancelled."""

BEAT = 1.0
"""Seconds between two signs of life of the event loop."""

LONGEST_BLOCK = 10.0
"""Seconds without one after which the event loop counts as blocked."""

REPORT_AGAIN = 60.0
"""Seconds between two reports of one that stays blocked."""

_END = 0


@attrs.frozen(kw_only=True)
class Control:
    """What starts and ends a host from outside of it.

    Attributes:
        stop: Set by the first signal: drain.
        force: Set by the second: end at once.
        registered: Set by the host once the backend sends jobs to this worker.
    """

    stop: asyncio.Event = attrs.field(factory=asyncio.Event)
    force: asyncio.Event = attrs.field(factory=asyncio.Event)
    registered: asyncio.Event = attrs.field(factory=asyncio.Event)


class HostLoop(uvloop.Loop):
    """An event loop whose handlers of the host's signals nobody else replaces."""

    owner: "Signals | None" = None

    def add_signal_handler(self, sig: int, callback: Callable[[*Ts], object], *args: *Ts) -> None:
        """Add a handler, but for a signal that the host has."""
        if self.owner is not None and self.owner.claims(sig):
            return
        super().add_signal_handler(sig, callback, *args)

    def remove_signal_handler(self, sig: int) -> bool:
        """Remove a handler, but that of a signal that the host has."""
        if self.owner is not None and self.owner.claims(sig):
            return False
        return super().remove_signal_handler(sig)


def run_async(main: Coroutine[object, object, T]) -> T:
    """Run a coroutine on uvloop, as everything here is."""
    with asyncio.Runner(loop_factory=HostLoop) as runner:
        return runner.run(main)


@attrs.define(kw_only=True, eq=False)
class Signals:
    """Handles the host's signals and watches its event loop, from `start` until `stop`.

    Attributes:
        control: What the signals set.
        engines: What the engines are called, for reports.
        logger: Told of engines that block the loop or take a signal.
        drain_timeout: Seconds after which, with some more, a process ends in any case. ``None``
            where what is to be ended in order after the worker has its time; a blocked loop is
            waited for then at the second signal only.
        longest_block: Seconds without a sign of life after which the loop counts as blocked.
        leave: Ends the process with an exit code.
        taken: The engine that took a signal for itself, and which; empty where none did.
    """

    control: Control
    engines: Engines
    logger: Logger
    drain_timeout: float | None
    longest_block: float = LONGEST_BLOCK
    leave: Callable[[int], None] = os._exit
    taken: str = attrs.field(default="", init=False)
    _numbers: tuple[signal.Signals, ...] = attrs.field(init=False)
    _loop: asyncio.AbstractEventLoop = attrs.field(factory=asyncio.get_running_loop, init=False)
    _main: int = attrs.field(factory=threading.get_ident, init=False)
    _events: SimpleQueue[int] = attrs.field(factory=SimpleQueue, init=False)
    _count: int = attrs.field(default=0, init=False)
    _seen: int = attrs.field(default=0, init=False)
    _last_beat: float = attrs.field(factory=monotonic, init=False)
    _next_beat: asyncio.TimerHandle = attrs.field(init=False)
    _leaves_at: float = attrs.field(default=math.inf, init=False)
    _reports_at: float = attrs.field(default=0.0, init=False)

    @_numbers.default
    def _those_of_the_host(self) -> tuple[signal.Signals, ...]:
        # nohup has it ignored, and means it.
        hangs_up = signal.getsignal(signal.SIGHUP) is not signal.SIG_IGN
        return (signal.SIGTERM, signal.SIGINT, *((signal.SIGHUP,) if hangs_up else ()))

    def start(self) -> None:
        """Handle the signals from now on, in the main thread."""
        for number in self._numbers:
            # Called after Python's own handler, also after one that an engine has set in its place.
            self._loop.add_signal_handler(number, self._after, number)
            signal.signal(number, self.receive)
        if isinstance(self._loop, HostLoop):
            self._loop.owner = self
        self._beat()
        start_thread("signals", self._watch)

    def stop(self) -> None:
        """Handle them no more; an end that was set stays: an engine may swallow every cancellation."""
        self._next_beat.cancel()
        if isinstance(self._loop, HostLoop):
            self._loop.owner = None
        for number in self._numbers:
            self._loop.remove_signal_handler(number)
        self._events.put(_END)

    def claims(self, number: int) -> bool:
        """Whether a signal is the host's; whoever asks for it then is reported."""
        if number not in self._numbers:
            return False
        self._report_claim(number, by=str(thread_whereabouts(self._main, self.engines)))
        return True

    def receive(self, number: int, _: FrameType | None = None) -> None:
        """Note a signal; safe at any moment, since nothing here takes a lock."""
        self._count += 1
        self._events.put(number)
        self._loop.call_soon_threadsafe(self._obey)

    def _obey(self) -> None:
        self._seen = self._count
        self.control.stop.set()
        if self._count > 1:
            self.control.force.set()

    def _after(self, number: signal.Signals) -> None:
        """Note a signal that another handler than the host's received."""
        if self._take_back(number):
            self.receive(number)

    def _take_back(self, number: signal.Signals) -> bool:
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
            self.taken = f"{by} took {name} for itself"

    def _beat(self) -> None:
        self._last_beat = monotonic()
        for number in self._numbers:
            self._take_back(number)
        self._next_beat = self._loop.call_later(BEAT, self._beat)

    def _watch(self) -> None:
        """Measure time beside the loop, until there is nothing to be measured any more."""
        ended = False
        while not ended or self._leaves_at < math.inf:
            try:
                event = self._events.get(timeout=self._pause())
            except Empty:
                self._look(monotonic(), ended=ended)
                continue
            ended = ended or event == _END
            if event != _END:
                self._set_end()

    def _pause(self) -> float:
        return max(0.0, min(BEAT, self._leaves_at - monotonic()))

    def _set_end(self) -> None:
        forced = self._count > 1
        if self.drain_timeout is not None or forced:
            late = LAST_RESORT if forced else (self.drain_timeout or 0.0) + 3 * LAST_RESORT
            self._leaves_at = min(self._leaves_at, monotonic() + late)

    def _look(self, now: float, *, ended: bool) -> None:
        if now >= self._leaves_at:
            self._leaves_at = math.inf
            self._end_process()
        elif not ended and now - self._last_beat > self.longest_block and now > self._reports_at:
            self._reports_at = now + REPORT_AGAIN
            where = thread_whereabouts(self._main, self.engines)
            self.logger.error(
                "the event loop is blocked",
                seconds=round(now - self._last_beat),
                by=where.engine,
                location=where.location,
            )

    def _end_process(self) -> None:
        forced = self._count > 1
        if self.drain_timeout is None and self._seen == self._count:
            # The loop runs: what is beside the worker is being ended in order.
            return
        where = thread_whereabouts(self._main, self.engines)
        flush()
        tell(
            "landlord-host: ended by a second signal"
            if forced
            else f"landlord-host: {EngineFailed.code}: the drain did not end; {where} kept it"
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
    """Let the first SIGTERM, SIGINT or SIGHUP stop, and the second force; see `Signals`.

    Raises:
        EngineFailed: All went well, but an engine had taken a signal for itself.
    """
    handling = Signals(control=control, engines=engines, logger=logger, drain_timeout=drain_timeout)
    handling.start()
    try:
        yield
    finally:
        handling.stop()
    if handling.taken:
        raise EngineFailed(
            handling.taken, hint="signals are the host's; an engine ends when it is shut down"
        )
