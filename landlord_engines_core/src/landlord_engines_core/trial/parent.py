"""The parent of a trial: it starts the child, reads its messages, and ends it in any case."""

import os
import selectors
import signal
import subprocess
import sys
from collections.abc import Callable
from contextlib import suppress
from time import monotonic

import attrs

from landlord_engines_core import codec
from landlord_engines_core.trial.result import (
    START,
    Description,
    Failure,
    Finding,
    Message,
    Request,
    Stage,
    Trial,
)

__all__ = ["LONGEST_STAGE", "run_trial"]

_BOOT = """
import runpy, sys
sys.path[:] = sys.argv[3:]
runpy.run_module(sys.argv[2], run_name="__main__")
"""
"""Gives the child the parent's import path, so that it finds what a worker would find."""

_OPTIONS = ("-P", "-u", "-X", "faulthandler")
"""The current folder is not on the path, output is not held back, and a crash shows its line."""

LONGEST_STAGE = 15.0
"""Maximum seconds of a stage, if it has no limit of its own."""

_GRACE = 2.0
"""Seconds after the limit, in which the child can name the line that hangs."""

_KEPT_BYTES = 4000
"""Bytes of the child's output that are kept of its begin, and of its end."""

ReportFinding = Callable[[Finding], None]


def run_trial(
    module: str,
    arguments: object,
    report: ReportFinding | None = None,
    *,
    limit: float,
    debug: bool = False,
) -> Trial:
    """Run a module as the child of a trial, until it ends or a stage takes too long.

    Args:
        module: The module; it calls `child.run_child`.
        arguments: The arguments for its body, as plain JSON values.
        report: Receives each finding as soon as it is known.
        limit: Seconds that a stage may take.
        debug: Whether the child writes the traceback of an unexpected error.
    """
    reader, writer = os.pipe()
    process = subprocess.Popen(  # noqa: S603  # our own module
        [sys.executable, *_OPTIONS, "-c", _BOOT, str(writer), module, *sys.path],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        pass_fds=(writer,),
        process_group=0,
    )
    os.close(writer)
    request = Request(limit=limit, arguments=arguments, debug=debug)
    watch = _ChildWatch(process=process, messages=reader, report=report or _keep_for_result)
    with process:
        try:
            watch.send(request)
            watch.read()
        finally:
            watch.end()
            os.close(reader)
    return watch.result()


def _keep_for_result(_: Finding) -> None:
    """Leave the findings to the trial's result."""


@attrs.define(kw_only=True)
class _ShortenedText:
    """Begin and end of an output, which may be endless."""

    _begin: bytes = b""
    _end: bytes = b""
    _left_out: int = 0

    def add(self, data: bytes) -> None:
        """Add what was read next."""
        free = _KEPT_BYTES - len(self._begin)
        self._begin += data[:free]
        rest = self._end + data[free:]
        self._left_out += max(0, len(rest) - _KEPT_BYTES)
        self._end = rest[-_KEPT_BYTES:]

    def __str__(self) -> str:
        gap = f"\n... {self._left_out} bytes more ...\n".encode() if self._left_out else b""
        return (self._begin + gap + self._end).decode(errors="replace").strip()


@attrs.define(kw_only=True)
class _ChildWatch:
    """The parent's knowledge of one child."""

    process: subprocess.Popen[bytes]
    messages: int
    report: ReportFinding
    _stage: Stage = START
    _deadline: float = attrs.field(factory=lambda: monotonic() + START.limit, init=False)
    _closed: bool = attrs.field(default=False, init=False)
    _incomplete_line: bytes = attrs.field(default=b"", init=False)
    _findings: list[Finding] = attrs.field(factory=list, init=False)
    _description: Description | None = attrs.field(default=None, init=False)
    _output: _ShortenedText = attrs.field(factory=_ShortenedText, init=False)
    _log: _ShortenedText = attrs.field(factory=_ShortenedText, init=False)

    def send(self, request: Request) -> None:
        """Send the request, and leave the pipe open: its end tells the child that nobody listens."""
        assert self.process.stdin is not None
        with suppress(BrokenPipeError):
            self.process.stdin.write(codec.dumps(request) + b"\n")
            self.process.stdin.flush()

    def read(self) -> None:
        """Read until the child has closed the pipe of messages, or a stage takes too long."""
        with selectors.DefaultSelector() as selector:
            for descriptor, receive in self._receivers().items():
                selector.register(descriptor, selectors.EVENT_READ, receive)
            while not self._closed:
                ready = selector.select(max(0.0, self._deadline - monotonic()))
                if not ready:
                    return
                for key, _ in ready:
                    if data := os.read(key.fd, 65536):
                        key.data(data)
                    else:
                        selector.unregister(key.fd)
                        self._closed = self._closed or key.fd == self.messages

    def end(self) -> None:
        """End the child and all that it started, and read what it wrote last."""
        if self._closed:
            with suppress(subprocess.TimeoutExpired):
                self.process.wait(_GRACE)
        # macOS refuses it for a group whose processes have all ended.
        with suppress(ProcessLookupError, PermissionError):
            os.killpg(self.process.pid, signal.SIGKILL)
        self.process.wait()
        for descriptor, receive in self._receivers().items():
            os.set_blocking(descriptor, False)
            with suppress(BlockingIOError):
                while data := os.read(descriptor, 65536):
                    receive(data)

    def result(self) -> Trial:
        """Sum the trial up."""
        if (failure := self._judge_end()) is not None:
            self._note(Finding(failure=failure))
        return Trial(
            findings=tuple(self._findings),
            description=self._description,
            output=str(self._output),
            log=str(self._log),
        )

    def _receivers(self) -> dict[int, Callable[[bytes], None]]:
        assert self.process.stdout is not None
        assert self.process.stderr is not None
        return {
            self.messages: self._receive_messages,
            self.process.stdout.fileno(): self._output.add,
            self.process.stderr.fileno(): self._log.add,
        }

    def _receive_messages(self, data: bytes) -> None:
        *lines, self._incomplete_line = (self._incomplete_line + data).split(b"\n")
        for line in lines:
            message = codec.loads(line, Message)
            self._description = message.description or self._description
            if message.stage is not None:
                self._stage = message.stage
                self._deadline = monotonic() + message.stage.limit + _GRACE
            if message.finding is not None:
                self._note(message.finding)

    def _note(self, finding: Finding) -> None:
        self._findings.append(finding)
        self.report(finding)

    def _judge_end(self) -> Failure | None:
        """Name the failure that ended the process, if it did not end in order."""
        code = self.process.returncode
        if not self._closed:
            end = f"did not end within {self._stage.limit:g} s, and blocks the interpreter"
        elif code < 0:
            end = f"ended the process by {signal.Signals(-code).name}"
        elif code > 0 or not self._stage.is_last:
            end = f"ended the process with exit code {code}"
        else:
            return None
        return self._stage.failure(
            f"{self._stage.label} {end}", "report it to the engine's authors"
        )
