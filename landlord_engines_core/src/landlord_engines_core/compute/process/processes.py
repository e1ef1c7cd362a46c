"""Signals to processes that are certainly a tenant's; the only door to psutil."""

import os
import signal
import time
from contextlib import suppress
from pathlib import Path

import attrs
import psutil

from landlord_engines_core.compute.process.runner import MARK, boot_id, start_ticks

__all__ = ["Started", "is_started", "kill_all", "marked", "send", "send_to_group"]

_SLACK = 2.0
"""Seconds by which the start of a process and the time of a note may differ by rounding."""

_CHASE = 1.0
"""Seconds for which those that fork on are followed without a pause."""

_PROC = Path("/proc")


@attrs.frozen(kw_only=True)
class Started:
    """A process as it was noted.

    Attributes:
        boot_id: The boot; empty where the note is of a former version, or the system names none.
        ticks: From the boot until its start.
        wall: The wall clock's time of the note.
    """

    pid: int
    boot_id: str
    ticks: int
    wall: float


def is_started(noted: Started, folder: str) -> bool:
    """Whether the process that has this number now is the one that was noted for the folder.

    Where the kernel's own marks of it are noted, they alone tell. Otherwise one that got the number
    later is younger; since a clock may have been set, it has to name the folder too.
    """
    try:
        process = psutil.Process(noted.pid)
        if noted.boot_id and noted.ticks:
            # A zombie has ended; where nobody reaps it, it keeps its number and its ticks.
            same = noted.boot_id == boot_id() and noted.ticks == start_ticks(noted.pid)
            return same and process.status() != psutil.STATUS_ZOMBIE
        old = process.create_time() <= noted.wall + _SLACK
        return old and (folder in process.cmdline() or process.environ().get(MARK) == folder)
    except (psutil.Error, OSError, ValueError, OverflowError):
        # A tenant can write any number into its note.
        return False


def marked(folder: str) -> list[int]:
    """All processes that were started for the tenant with this folder, wherever they went."""
    return [pid for pid in psutil.pids() if _has_mark(pid, folder)]


def kill_all(folder: str) -> bool:
    """Kill the tenant's processes, and what they fork while they are looked for.

    A look at every process takes longer than a process takes to fork and end. After the first look
    only those are looked at that are new since the one before, without a pause.

    Returns:
        Whether there was one.
    """
    known: set[int] = set()
    some, end = False, time.monotonic() + _CHASE
    while True:
        there = set(psutil.pids())
        looks = {pid: _has_mark(pid, folder) for pid in there - known}
        found = {pid for pid, is_tenants in looks.items() if is_tenants}
        for pid in found:
            _kill(pid)
        some = some or bool(found)
        # One that ended before it could be looked at may have left a child.
        if (not found and None not in looks.values()) or time.monotonic() > end:
            return some
        known = there - found


def _kill(pid: int) -> None:
    """Kill a process with its group: the kernel lets none be forked into a group that it kills.

    Its own child is in that group until it leaves it.
    """
    with suppress(ProcessLookupError, PermissionError):
        if os.getsid(pid) != os.getsid(0):
            os.killpg(os.getpgid(pid), signal.SIGKILL)
    send(pid, signal.SIGKILL)


def _has_mark(pid: int, folder: str) -> bool | None:
    """Whether a process has the folder in its environment; ``None`` if it ended meanwhile."""
    try:
        if _PROC.is_dir():
            entries = (_PROC / str(pid) / "environ").read_bytes().split(b"\0")
            return os.fsencode(f"{MARK}={folder}") in entries
        return psutil.Process(pid).environ().get(MARK) == folder
    except (FileNotFoundError, ProcessLookupError, psutil.NoSuchProcess):
        return None
    except (psutil.Error, OSError):
        return False


def send(pid: int, number: int) -> None:
    """Signal a process, if it is still there."""
    with suppress(ProcessLookupError, PermissionError):
        os.kill(pid, number)


def send_to_group(pid: int, number: int) -> None:
    """Signal the group that this process leads, if there is one."""
    with suppress(ProcessLookupError, PermissionError):
        os.killpg(pid, number)
