"""Commands in forked processes, which import nothing because the fork server has imported all modules.

Importing the worker takes 0.8 s of processor time, or 1.7 s with coverage, and the tests start hundreds
of workers. One fork server imports everything once. A forked process has its own pid, signals, streams
and exit code.
"""

import asyncio
import atexit
import multiprocessing
import os
import signal
import sys
from collections.abc import Callable, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from functools import partial
from multiprocessing import Pipe
from multiprocessing.connection import Connection
from multiprocessing.context import ForkServerProcess
from pathlib import Path
from typing import Any, TextIO

import attrs

from landlord_test_target.measuring import is_measured, stop_measuring

__all__ = ["ForkedProcess", "Host", "fork_call", "fork_host", "fork_piped_host"]

_SERVER = multiprocessing.get_context("forkserver")
_SERVER.set_forkserver_preload(
    [
        "landlord_engine_sqlite.engine",
        "landlord_engines_core.cli.tenants",
        "landlord_engines_core.host",
        "landlord_engines_restate.engine",
        "landlord_engines_restate.endpoint.server",
        "landlord_test_target.crashing",
        "landlord_test_target.docker_crashing",
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

    def join(self, within: float | None = None) -> int:
        """Block until the process ends, and return its exit code."""
        self._process.join(within)
        code = self.returncode
        assert code is not None, f"it did not end within {within} s"
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
        assert code is not None, "the process has ended"
        return code


@attrs.frozen
class Host:
    """A forked ``landlord-host`` whose output a test reads, with the interface of `subprocess.Popen`."""

    _process: ForkedProcess
    stdout: TextIO
    stderr: TextIO

    @property
    def pid(self) -> int:
        """Return the process id."""
        return self._process.pid

    @property
    def returncode(self) -> int | None:
        """Return the exit code, negative for a signal; ``None`` while the process runs."""
        return self._process.returncode

    def send_signal(self, number: int) -> None:
        """Send the process a signal."""
        self._process.send_signal(number)

    def terminate(self) -> None:
        """Send the process SIGTERM."""
        self.send_signal(signal.SIGTERM)

    def communicate(self, timeout: float) -> tuple[str, str]:
        """Wait until the process ends, and return the rest of its output."""
        with ThreadPoolExecutor(2) as readers:
            output, errors = readers.submit(self.stdout.read), readers.submit(self.stderr.read)
            try:
                self._process.join(timeout)
            finally:
                # The readers end once the process has ended.
                self._process.kill()
            return output.result(), errors.result()

    def close(self) -> None:
        """Kill the process, and close its output."""
        self._process.kill()
        self.stdout.close()
        self.stderr.close()


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
    return _start(call, (str(output), str(output)), environment, Path.cwd())


def fork_piped_host(command: tuple[str, ...], folder: Path, environment: Mapping[str, str]) -> Host:
    """Run ``landlord-host`` in a folder, with the distributions that are installed there too.

    Args:
        command: Its ``sys.argv``.
        folder: Its folder, which is also the first of its ``sys.path``.
        environment: Its variables. Modules that are imported already do not see them.
    """
    (output, to_output), (errors, to_errors) = Pipe(duplex=False), Pipe(duplex=False)
    variables = {**environment, "PYTHONPATH": str(folder)}
    call = partial(_run_host, command, str(folder))
    with to_output, to_errors, output, errors:
        process = _start(call, (to_output, to_errors), variables, folder)
        return Host(process, *(os.fdopen(os.dup(stream.fileno())) for stream in (output, errors)))


def _start(
    call: Callable[[], object],
    streams: tuple[str | Connection, str | Connection],
    environment: Mapping[str, str] | None,
    folder: Path,
) -> ForkedProcess:
    variables = dict(os.environ if environment is None else environment)
    target = _run if is_measured() else _run_unmeasured
    arguments = (call, variables, str(folder), streams)
    process = _SERVER.Process(target=target, args=arguments, daemon=True)
    process.start()
    return ForkedProcess(process)


def _run_host(command: tuple[str, ...], *path: str) -> None:
    sys.argv = list(command)
    sys.path[:0] = path
    # Imported here, because the process that asks for a fork does not need the module.
    from landlord_engines_core.cli import main

    main()


def _run_unmeasured(*arguments: Any) -> None:
    # Coverage measures the fork server, and so each of its forks.
    stop_measuring()
    _run(*arguments)


def _run(
    call: Callable[[], object],
    environment: Mapping[str, str],
    folder: str,
    streams: tuple[str | Connection, str | Connection],
) -> None:
    os.chdir(folder)
    os.environ.clear()
    os.environ.update(environment)
    for number, stream in enumerate(streams, start=1):
        if isinstance(stream, str):
            descriptor = os.open(stream, os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o600)
            os.dup2(descriptor, number)
            os.close(descriptor)
        else:
            with stream:
                os.dup2(stream.fileno(), number)
    try:
        call()
    finally:
        sys.stdout.flush()
        # A forked process runs no exit handlers. They write the log's last lines and coverage's data.
        atexit._run_exitfuncs()
