"""Commands in forked processes, which need not import anything.

Importing the worker takes 0.8 s of processor time, or 1.7 s with coverage, and the tests start hundreds
of workers. One fork server imports everything once. A forked process has its own pid, signals, streams
and exit code.
"""

import asyncio
import atexit
import multiprocessing
import os
import sys
from collections.abc import Callable, Mapping
from contextlib import suppress
from functools import partial
from multiprocessing.context import ForkServerProcess
from pathlib import Path

import attrs

__all__ = ["ForkedProcess", "fork_call", "fork_host"]

_SERVER = multiprocessing.get_context("forkserver")
_SERVER.set_forkserver_preload(
    [
        "landlord_engines_core.cli",
        "landlord_engines_core.host",
        "landlord_engines_restate.engine",
        "landlord_engines_restate.endpoint.server",
        "landlord_test_target.crashing",
        "landlord_test_target.engine",
        "uvloop",
        __name__,
    ]
)


@attrs.define
class ForkedProcess:
    """A process with asyncio's interface, whose parent is the fork server and not this process."""

    _process: ForkServerProcess

    @property
    def pid(self) -> int:
        """Return the process id."""
        assert self._process.pid is not None
        return self._process.pid

    @property
    def returncode(self) -> int | None:
        """Return the exit code, negative for a signal; ``None`` while the process runs."""
        return self._process.exitcode

    def send_signal(self, number: int) -> None:
        """Send the process a signal, unless it has ended."""
        if self.returncode is None:
            with suppress(ProcessLookupError):
                os.kill(self.pid, number)

    def kill(self) -> None:
        """Kill the process."""
        self._process.kill()

    def join(self) -> int:
        """Block until the process ends, and return its exit code."""
        self._process.join()
        code = self.returncode
        assert code is not None, "its end was told"
        return code

    async def wait(self) -> int:
        """Wait until the process ends, and return its exit code."""
        loop, ended = asyncio.get_running_loop(), asyncio.Event()
        loop.add_reader(self._process.sentinel, ended.set)
        try:
            await ended.wait()
        finally:
            loop.remove_reader(self._process.sentinel)
        code = self.returncode
        assert code is not None, "its end was told"
        return code


def fork_host(
    command: tuple[str, ...], output: Path, environment: Mapping[str, str] | None = None
) -> ForkedProcess:
    """Run ``landlord-host`` with this command line, its output appended to a file.

    Args:
        command: Its ``sys.argv``.
        output: The file for its standard output and error.
        environment: Its variables; this process's if None. Modules that are imported already do not
            see them.
    """
    return fork_call(partial(_run_host, command), output, environment)


def fork_call(
    call: Callable[[], object], output: Path, environment: Mapping[str, str] | None = None
) -> ForkedProcess:
    """Call a function that can be pickled, with output and variables as in `fork_host`."""
    output.touch()
    variables = dict(os.environ if environment is None else environment)
    process = _SERVER.Process(
        target=_run, args=(call, variables, str(Path.cwd()), str(output)), daemon=True
    )
    process.start()
    return ForkedProcess(process)


def _run_host(command: tuple[str, ...]) -> None:
    sys.argv = list(command)
    # Here and not above: the process that asks for a fork needs none of it.
    from landlord_engines_core.cli import main

    main()


def _run(call: Callable[[], object], environment: Mapping[str, str], folder: str, log: str) -> None:
    os.chdir(folder)
    os.environ.clear()
    os.environ.update(environment)
    descriptor = os.open(log, os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o600)
    for stream in (1, 2):
        os.dup2(descriptor, stream)
    os.close(descriptor)
    try:
        call()
    finally:
        sys.stdout.flush()
        # A fork ends without them, and coverage writes its data then.
        atexit._run_exitfuncs()
