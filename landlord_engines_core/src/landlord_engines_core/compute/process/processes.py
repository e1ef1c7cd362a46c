"""Signals to processes that are certainly a tenant's; the only door to psutil."""

import os
import signal
import time
from collections.abc import Callable, Iterable
from contextlib import suppress
from pathlib import Path

import attrs
import psutil

from landlord_engines_core.compute.process.runner import MARK, boot_id, start_ticks

__all__ = ["Started", "is_started", "kill", "kill_holders", "send", "send_to_group", "tell_all"]

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


def tell_all(folder: str, tell: Callable[[int], None], *, until_none: bool = False) -> bool:
    """Tell each process that was started for the tenant with this folder, wherever it went.

    A look at every process takes longer than one takes to fork and end. So those that are new since the
    look before are asked next, without a pause, until none of them is the tenant's, or has ended
    before it could be asked: such a one may have left a child.

    Args:
        folder: The tenant's folder.
        tell: Told the number of each, at once.
        until_none: Go on for a while after one was found too, since what is told ends.

    Returns:
        Whether there was one.
    """
    first, found, end = True, False, time.monotonic() + _CHASE
    newest, unsure = _newest(), set[int]()
    fresh: Iterable[int] = psutil.pids()
    while time.monotonic() < end:
        answers = {pid: _told(pid, folder, tell) for pid in {*unsure, *fresh}}
        found = found or True in answers.values()
        # A number is given before its process can be seen: it is asked once more.
        unsure = {pid for pid in fresh if answers[pid] is None}
        is_over = not unsure and True not in answers.values()
        if not first and (is_over or (found and not until_none)):
            break
        first, before, newest = False, newest, _newest()
        # The kernel counts up, and begins anew at its limit.
        fresh = range(before + 1, newest + 1) if 0 < before <= newest else psutil.pids()
    return found


def _newest() -> int:
    """The number that a process or thread was given last, proc(5); zero where nobody tells."""
    try:
        return int((_PROC / "loadavg").read_bytes().split()[-1])
    except OSError:
        return 0


def _told(pid: int, folder: str, tell: Callable[[int], None]) -> bool | None:
    is_tenants = _has_mark(pid, folder)
    if is_tenants:
        tell(pid)
    return is_tenants


def kill(pid: int) -> None:
    """Kill a process with its group: the kernel lets none be forked into a group that it kills.

    Its own child is in that group until it leaves it.
    """
    with suppress(ProcessLookupError, PermissionError):
        if os.getsid(pid) != os.getsid(0):
            os.killpg(os.getpgid(pid), signal.SIGKILL)
    send(pid, signal.SIGKILL)


def kill_holders(folder: Path, lock: Path) -> None:
    """Kill those of the tenant's processes that have this lock, or the folder itself, open."""

    def tell(pid: int) -> None:
        if any(_has_open(pid, path) for path in (lock, folder)):
            kill(pid)

    tell_all(str(folder), tell)


def _has_open(pid: int, path: Path) -> bool:
    with suppress(OSError):
        there = path.lstat()
        return any(os.path.samestat(there, file.stat()) for file in (_PROC / f"{pid}/fd").iterdir())
    return False


def _has_mark(pid: int, folder: str) -> bool | None:
    """Whether a process has the folder in its environment; ``None`` if it has ended, and has none."""
    try:
        if not _PROC.is_dir():
            return psutil.Process(pid).environ().get(MARK) == folder
        with open(f"{_PROC}/{pid}/environ", "rb") as file:  # noqa: PTH123  # a Path is slower
            environment = file.read()
        return os.fsencode(f"{MARK}={folder}") in environment.split(b"\0") if environment else None
    except (FileNotFoundError, ProcessLookupError):
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
