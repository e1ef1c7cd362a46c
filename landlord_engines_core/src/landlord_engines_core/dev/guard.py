"""Guard that cleans up after ``landlord-host dev``, even if the command is killed with -9.

    python -I -S guard.py FOLDER

The guard waits for the end of its standard input, which only the command keeps open. Then it kills each
process with the command's folder in its environment, and removes the folder. It finds processes on Linux
only. It imports nothing but the standard library.
"""
# Not PR_SET_PDEATHSIG, a signal at the parent's death: tenants are no children of the command.

import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path

__all__ = ["guard", "main"]

EMPTY_SCANS = 3
"""Scans in a row without a process after which none is left."""

PAUSE = 0.05
"""Seconds between two scans."""


@contextmanager
def guard(folder: Path) -> Iterator[None]:
    """End all processes of this folder with this process, and with the context at the latest."""
    process = subprocess.Popen(  # noqa: S603  # this very file
        [sys.executable, "-I", "-S", __file__, str(folder)],
        stdin=subprocess.PIPE,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        cwd="/",
        # A session of its own: Ctrl-C, or a kill of the command's group, must not end the guard.
        start_new_session=True,
    )
    try:
        yield
    finally:
        process.communicate()


def main(arguments: Sequence[str], input_descriptor: int = 0) -> None:
    """Wait for the end of the input, then kill the folder's processes and remove it."""
    folder = Path(arguments[0])
    while os.read(input_descriptor, 1):
        pass
    empty = 0
    while empty < EMPTY_SCANS:
        pids = list(_find_processes(folder))
        for pid in pids:
            with suppress(ProcessLookupError, PermissionError):
                os.kill(pid, signal.SIGKILL)
        empty = 0 if pids else empty + 1
        time.sleep(PAUSE)
    shutil.rmtree(folder, ignore_errors=True)


def _find_processes(folder: Path, proc: Path = Path("/proc")) -> Iterator[int]:
    """Find other processes with a variable that contains the folder or a path in it."""
    value = b"=" + os.fsencode(folder)
    endings = (value + b"\0", value + b"/")
    for entry in proc.glob("[0-9]*/environ"):
        with suppress(OSError):
            variables = entry.read_bytes()
            if any(end in variables for end in endings) and int(entry.parent.name) != os.getpid():
                yield int(entry.parent.name)


if __name__ == "__main__":
    main(sys.argv[1:])
