"""The child of a trial: it runs the engine's code, and reports over a pipe of its own.

A thread ends the child if a stage takes too long, or if the parent is gone.
"""

import os
import select
import signal
import sys
import threading
import traceback
from collections.abc import Callable
from time import monotonic
from types import FrameType

import attrs

from landlord_engines_core import codec
from landlord_engines_core.catalog import read_catalog
from landlord_engines_core.errors import LandlordEnginesError
from landlord_engines_core.exit_codes import ExitCode
from landlord_engines_core.plugin_frames import Engines, thread_whereabouts
from landlord_engines_core.threads import start_thread
from landlord_engines_core.trial.result import (
    START,
    Description,
    Failure,
    Finding,
    Message,
    Request,
    Stage,
)

__all__ = ["Reporter", "run_child"]

_SIGNALS = (signal.SIGTERM, signal.SIGINT, signal.SIGHUP)
_LAST = Stage(label="the interpreter's shutdown", limit=15.0, is_last=True)
_WATCH_INTERVAL = 0.2
"""Seconds between two looks at the clock; a new stage may have a shorter limit than the last."""


@attrs.define(kw_only=True, eq=False)
class Reporter:
    """Reports stages and findings, and watches the time of each stage.

    Attributes:
        descriptor: The pipe to the parent.
        lifeline: A pipe that ends when the parent does.
        limit: Seconds that a stage may take, if it has no limit of its own.
        exit_code_of: Chooses the exit code of a command for an error.
        debug: Whether to write tracebacks to standard error; they may quote a setting.
        leave: Ends the process at once.
        engines: The engines whose code has run, for the name of the last stage.
    """

    descriptor: int
    lifeline: int
    limit: float
    exit_code_of: Callable[[LandlordEnginesError], ExitCode]
    debug: bool = False
    # Not sys.exit, which a thread that hangs never sees.
    leave: Callable[[int], None] = os._exit
    engines: str = ""
    _stage: Stage = attrs.field(init=False)
    _deadline: float = attrs.field(init=False)
    _modules: Engines = attrs.field(init=False)
    _main: int = attrs.field(factory=threading.get_ident, init=False)

    @_stage.default
    def _default_stage(self) -> Stage:
        return START

    @_deadline.default
    def _default_deadline(self) -> float:
        return monotonic() + START.limit

    @_modules.default
    def _default_modules(self) -> Engines:
        return {engine.target.partition(":")[0]: engine.label for engine in read_catalog().engines}

    def start(self) -> None:
        """Watch the time, and keep hold of the signals."""
        for number in _SIGNALS:
            signal.signal(number, self._receive)
        start_thread("trial", self.watch)

    def begin(self, label: str, *, limit: float = 0.0, is_import: bool = False) -> None:
        """End the former stage, and begin the next."""
        self._enter(Stage(label=label, limit=limit or self.limit, is_import=is_import))

    def finish(self) -> None:
        """End the last stage; the process has nothing left to do but to end."""
        after = f" after {self.engines}" if self.engines else ""
        self._enter(attrs.evolve(_LAST, label=f"{_LAST.label}{after}"))

    def _enter(self, stage: Stage) -> None:
        self._check_signals()
        self._deadline = monotonic() + stage.limit
        self._stage = stage
        self._send(Message(stage=stage))

    def report(self, finding: Finding) -> None:
        """Report a finding."""
        self._send(Message(finding=finding))

    def fail(self, error: LandlordEnginesError, *, subject: str = "", text: str = "") -> None:
        """Report an error as a finding."""
        if self.debug and error.__cause__ is not None:
            traceback.print_exception(error.__cause__)
        failure = Failure.of(error, self.exit_code_of(error))
        self.report(Finding(subject=subject, text=text, failure=failure))

    def describe(self, description: Description) -> None:
        """Report what the engine declares."""
        self._send(Message(description=description))

    def _check_signals(self) -> None:
        """Report, and undo, what the last stage did to a signal of the host."""
        for number in _SIGNALS:
            handler = signal.getsignal(number)
            if handler == self._receive:
                continue
            signal.signal(number, self._receive)
            self._report_engine(
                f"{self._stage.label} replaced the host's handler of {number.name}"
                f" by one of {getattr(handler, '__module__', None) or 'the system'}",
                "report it to the engine's authors: only the host may handle signals",
            )

    def watch(self) -> None:
        """End the process when a stage takes too long, or when the parent is gone."""
        while monotonic() < self._deadline:
            pause = min(_WATCH_INTERVAL, max(0.0, self._deadline - monotonic()))
            if select.select([self.lifeline], [], [], pause)[0]:
                self.leave(ExitCode.FAILED)
                return
        whereabouts = thread_whereabouts(self._main, self._modules)
        self._report_engine(
            f"{self._stage.label} did not end within {self._stage.limit:g} s: {whereabouts}",
            "report it to the engine's authors",
        )
        # So that the parent reports no second failure for the end of this process.
        self._send(Message(stage=_LAST))
        self.leave(ExitCode.DRAINED)

    def _report_engine(self, message: str, hint: str) -> None:
        self.report(Finding(failure=self._stage.failure(message, hint)))

    def _receive(self, _: int, __: FrameType | None = None) -> None:
        self.leave(ExitCode.FAILED)

    def _send(self, message: Message) -> None:
        os.write(self.descriptor, codec.dumps(message) + b"\n")


Body = Callable[[object, Reporter], None]
"""Function that tries something, given the arguments of the request."""


def run_child(body: Body, exit_code_of: Callable[[LandlordEnginesError], ExitCode]) -> None:
    """Run a body as this process's only work, with a request from standard input.

    Args:
        body: Reports its stages and findings. An error that leaves it is reported, too.
        exit_code_of: Chooses the exit code for an error of this framework.
    """
    descriptor = int(sys.argv[1])
    os.set_inheritable(descriptor, False)  # noqa: FBT003  # it takes no keywords
    request = codec.loads(sys.stdin.buffer.readline(), Request)
    reporter = Reporter(
        descriptor=descriptor,
        lifeline=_take_input(),
        limit=request.limit,
        exit_code_of=exit_code_of,
        debug=request.debug,
    )
    reporter.start()
    run_body(body, request.arguments, reporter)
    reporter.finish()


def run_body(body: Body, arguments: object, reporter: Reporter) -> None:
    """Run a body, and report an error that leaves it."""
    try:
        body(arguments, reporter)
    except LandlordEnginesError as error:
        reporter.fail(error)
    except BaseException as error:  # noqa: BLE001  # an engine may raise anything
        if reporter.debug:
            traceback.print_exception(error)
        reporter.report(Finding(failure=Failure.unexpected(error)))


def _take_input() -> int:
    """Take standard input away from the engine, and return it."""
    lifeline = os.dup(0)
    null = os.open(os.devnull, os.O_RDONLY)
    os.dup2(null, 0)
    os.close(null)
    return lifeline
