"""Ends what `landlord-host dev` has started, however that ends itself: with -9 too.

    python -I -S guard.py FOLDER

It waits for the end of its standard input, which nobody but the command holds open. Then it kills
each process with the command's folder in its environment, and removes the folder. A signal at the
parent's death (PR_SET_PDEATHSIG) would not do: tenants leave the command's family. Processes are
found on Linux; elsewhere only the folder goes. It imports nothing but the standard library.
"""

import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path

__all__ = ["guarded", "main"]

LOOKS = 3
PAUSE = 0.05
"""Looks without finding a process until there is none, and the seconds between them."""


@contextmanager
def guarded(folder: Path) -> Iterator[None]:
    """Have all that lives by this folder end with this process, and here at the latest."""
    guard = subprocess.Popen(  # noqa: S603  # this very file
        [sys.executable, "-I", "-S", __file__, str(folder)],
        stdin=subprocess.PIPE,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        cwd="/",
        # A terminal's Ctrl-C is the command's; it may be killed with its whole group.
        start_new_session=True,
    )
    try:
        yield
    finally:
        guard.communicate()


def main(arguments: Sequence[str], input_descriptor: int = 0) -> None:
    """Wait for the end of the input, and then leave nothing of the folder."""
    folder = Path(arguments[0])
    while os.read(input_descriptor, 1):
        pass
    empty = 0
    while empty < LOOKS:
        found = list(_processes(folder))
        for pid in found:
            with suppress(ProcessLookupError, PermissionError):
                os.kill(pid, signal.SIGKILL)
        empty = 0 if found else empty + 1
        time.sleep(PAUSE)
    shutil.rmtree(folder, ignore_errors=True)


def _processes(folder: Path, proc: Path = Path("/proc")) -> Iterator[int]:
    """The processes, other than this one, with a variable that holds the folder or what is in it."""
    value = b"=" + os.fsencode(folder)
    ends = (value + b"\0", value + b"/")
    for entry in proc.glob("[0-9]*/environ"):
        with suppress(OSError):
            variables = entry.read_bytes()
            if any(end in variables for end in ends) and int(entry.parent.name) != os.getpid():
                yield int(entry.parent.name)


if __name__ == "__main__":
    main(sys.argv[1:])
