"""Calls in processes of their own, forked from a server that has imported core.

A process that an engine blocks, ends or crashes harms nothing else. Its exit code and its output are
part of the answer.
"""

import atexit
import multiprocessing
import os
import pickle
import signal
import sys
from collections.abc import Callable
from contextlib import suppress
from multiprocessing.context import ForkServerContext, ForkServerProcess
from pathlib import Path
from typing import Any

import attrs

from landlord_engines_core.conformance.story import CannotRun, DoesNotApply, RuleBroken

__all__ = ["Child", "Ended", "call_in_child", "start_child"]

LONGEST_CALL = 120.0
"""Seconds after which a call counts as hanging."""


@attrs.frozen(kw_only=True)
class Ended:
    """End of a call.

    Attributes:
        code: The exit code, negative for a signal; ``None`` if the call hung and was killed.
        output: The standard output.
        log: The standard error.
        answer: The value that the call returned; ``None`` if it did not return.
    """

    code: int | None
    output: str
    log: str
    answer: Any = None

    @property
    def end(self) -> str:
        """How the process ended, in words."""
        if self.code is None:
            return f"did not return within {LONGEST_CALL:g} s"
        if self.code < 0:
            return f"was ended by {signal.Signals(-self.code).name}"
        return f"ended the process with exit code {self.code}"


@attrs.frozen(kw_only=True)
class Child:
    """A call that runs in a process of its own."""

    folder: Path
    process: ForkServerProcess = attrs.field(repr=False)

    @property
    def pid(self) -> int:
        """The process id."""
        assert self.process.pid is not None, "it was started"
        return self.process.pid

    def send_signal(self, number: int) -> None:
        """Send a signal, unless the process has ended."""
        if self.process.exitcode is None:
            with suppress(ProcessLookupError):
                os.kill(self.pid, number)

    def kill(self) -> None:
        """Kill the process, a stopped one too, unless it has ended."""
        self.process.kill()
        self.process.join()

    def wait(self, seconds: float = LONGEST_CALL) -> Ended:
        """Wait for the end, and kill a process that lasts longer."""
        self.process.join(seconds)
        code = self.process.exitcode
        self.kill()
        answer = self.folder / "answer"
        return Ended(
            code=code,
            output=_read(self.folder / "output"),
            log=_read(self.folder / "log"),
            answer=pickle.loads(answer.read_bytes()) if answer.exists() else None,  # noqa: S301  # our own
        )


def start_child(call: Callable[[], object], folder: Path) -> Child:
    """Start a call that can be pickled, with its output in files of this folder.

    The process gets the environment as it is now. The server's own is older, and a fixture may have set
    variables since.
    """
    folder.mkdir(parents=True, exist_ok=True)
    context = _server()
    environment = dict(os.environ)  # noqa: TID251  # handed on as it is
    process = context.Process(target=_run, args=(call, str(folder), environment), daemon=True)
    process.start()
    return Child(folder=folder, process=process)


def call_in_child(call: Callable[[], object], folder: Path) -> Any:
    """Make a call in a process of its own, and return its value.

    Raises:
        RuleBroken: The call raised it, or did not return.
        DoesNotApply: The call raised it.
        CannotRun: The call raised it.
    """
    ended = start_child(call, folder).wait()
    if isinstance(ended.answer, RuleBroken | DoesNotApply | CannotRun):
        raise ended.answer
    if ended.answer is None:
        raise RuleBroken(f"the engine {ended.end}", *ended.log.splitlines()[-20:])
    return ended.answer


def _server() -> ForkServerContext:
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload(["landlord_engines_core.conformance.preload"])
    return context


def _read(path: Path) -> str:
    return path.read_text(encoding="utf-8", errors="replace") if path.exists() else ""


def _run(call: Callable[[], object], folder: str, environment: dict[str, str]) -> None:
    os.environ.clear()  # noqa: TID251  # as above
    os.environ.update(environment)  # noqa: TID251  # as above
    for number, name in ((1, "output"), (2, "log")):
        flags = os.O_WRONLY | os.O_APPEND | os.O_CREAT
        descriptor = os.open(f"{folder}/{name}", flags, 0o600)
        os.dup2(descriptor, number)
        os.close(descriptor)
    try:
        _write_answer(_ask(call), Path(folder))
    finally:
        sys.stdout.flush()
        # multiprocessing ends a process without them, and an engine may rely on them as in the host.
        atexit._run_exitfuncs()  # noqa: SLF001  # there is no public way


def _ask(call: Callable[[], object]) -> object:
    try:
        return call()
    except (RuleBroken, DoesNotApply, CannotRun) as end:
        return end


def _write_answer(answer: object, folder: Path) -> None:
    part = folder / "answer.part"
    part.write_bytes(pickle.dumps(answer))
    part.rename(folder / "answer")
