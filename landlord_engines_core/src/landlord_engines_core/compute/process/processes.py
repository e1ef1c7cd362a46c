"""Search for a tenant's processes, and signals to them; the only module that uses psutil.

A process is signalled only if its identity, or its environment, shows that it is the tenant's.
"""

import os
import signal
import time
from collections.abc import Callable, Iterable
from contextlib import suppress
from pathlib import Path

import attrs
import psutil

from landlord_engines_core.compute.process.runner import MARK, boot_id, start_ticks

__all__ = [
    "ProcessIdentity",
    "is_same_process",
    "kill",
    "kill_holders",
    "send_signal",
    "signal_group",
    "visit_processes",
]

_ROUNDING = 2.0
"""Seconds by which the start of a process and the time of its status may differ by rounding."""

_CHASE = 1.0
"""Seconds for which processes that keep forking are followed without a pause."""

_PROC = Path("/proc")


@attrs.frozen(kw_only=True)
class ProcessIdentity:
    """The identity of a process, by which a later one with the same number is told from it.

    Attributes:
        pid: The process id.
        boot_id: The kernel's id of the boot; empty from former versions, and where there is none.
        ticks: The kernel's ticks from the boot until the start; zero if unknown.
        wall: The wall clock's time when this was written.
    """

    pid: int
    boot_id: str
    ticks: int
    wall: float


def is_same_process(identity: ProcessIdentity, folder: str) -> bool:
    """Return whether the process with this number is the tenant's process of this identity."""
    try:
        process = psutil.Process(identity.pid)
        if identity.boot_id and identity.ticks:
            # Boot id and ticks are unique. A zombie keeps both, and has ended.
            is_same = identity.boot_id == boot_id() and identity.ticks == start_ticks(identity.pid)
            return is_same and process.status() != psutil.STATUS_ZOMBIE
        # A process that got the number later is younger. The wall clock may have been set, so the
        # process has to name the folder too.
        is_old = process.create_time() <= identity.wall + _ROUNDING
        return is_old and (folder in process.cmdline() or process.environ().get(MARK) == folder)
    except (psutil.Error, OSError, ValueError, OverflowError):
        # A tenant can write any number into its status.
        return False


def visit_processes(folder: str, visit: Callable[[int], None], *, until_none: bool = False) -> bool:
    """Call a function for each process of a tenant, in whatever session or group it is.

    Args:
        folder: The tenant's folder.
        visit: Called with the number of each process as it is found.
        until_none: Continue for a while after a find too, if ``visit`` ends the processes.

    Returns:
        Whether there was any.
    """
    # To check all processes takes longer than one needs to fork and exit, so a tenant's process can
    # escape one pass through its children. Each later pass checks the processes that are new since the
    # pass before, without a pause. The passes end once no new process is, or may be, the tenant's. A
    # process that exited before its check may have left a child.
    is_first, has_found, end = True, False, time.monotonic() + _CHASE
    newest, unsure = _newest_pid(), set[int]()
    fresh: Iterable[int] = psutil.pids()
    while time.monotonic() < end:
        results = {pid: _visit(pid, folder, visit) for pid in {*unsure, *fresh}}
        has_found = has_found or True in results.values()
        # The kernel assigns a number before the process can be seen: it is checked once more.
        unsure = {pid for pid in fresh if results[pid] is None}
        is_over = not unsure and True not in results.values()
        if not is_first and (is_over or (has_found and not until_none)):
            break
        is_first, before, newest = False, newest, _newest_pid()
        # The kernel counts up to its limit and then starts again from low numbers.
        fresh = range(before + 1, newest + 1) if 0 < before <= newest else psutil.pids()
    return has_found


def _newest_pid() -> int:
    """Return the number of the newest process or thread, proc(5); zero on other systems."""
    try:
        return int((_PROC / "loadavg").read_bytes().split()[-1])
    except OSError:
        return 0


def _visit(pid: int, folder: str, visit: Callable[[int], None]) -> bool | None:
    is_tenants = _has_mark(pid, folder)
    if is_tenants:
        visit(pid)
    return is_tenants


def kill(pid: int) -> None:
    """Kill a process with its group, unless it is in the worker's own session."""
    # A new child is in its parent's group. The kernel lets no process fork into a group while it kills
    # the group, so a process that keeps forking cannot escape.
    with suppress(ProcessLookupError, PermissionError):
        if os.getsid(pid) != os.getsid(0):
            os.killpg(os.getpgid(pid), signal.SIGKILL)
    send_signal(pid, signal.SIGKILL)


def kill_holders(folder: Path, lock: Path) -> None:
    """Kill the tenant's processes that have this lock, or the folder itself, open."""

    def kill_holder(pid: int) -> None:
        if any(_has_open(pid, path) for path in (lock, folder)):
            kill(pid)

    visit_processes(str(folder), kill_holder)


def _has_open(pid: int, path: Path) -> bool:
    with suppress(OSError):
        status = path.lstat()
        files = (_PROC / f"{pid}/fd").iterdir()
        return any(os.path.samestat(status, file.stat()) for file in files)
    return False


def _has_mark(pid: int, folder: str) -> bool | None:
    """Return whether the environment of a process names the folder; ``None`` if it has ended."""
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


def send_signal(pid: int, number: int) -> None:
    """Signal a process if it exists."""
    with suppress(ProcessLookupError, PermissionError):
        os.kill(pid, number)


def signal_group(pid: int, number: int) -> None:
    """Signal the group that this process leads, if it exists."""
    with suppress(ProcessLookupError, PermissionError):
        os.killpg(pid, number)
