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
    "kill_lock_holders",
    "send_signal",
    "signal_group",
    "visit_processes",
]

_ROUNDING = 2.0
"""Seconds by which the start of a process and the time of its status may differ by rounding."""

_LONGEST_SEARCH = 1.0
"""Seconds after which a search ends, even if the tenant's processes keep forking."""

_PROC = Path("/proc")


@attrs.frozen(kw_only=True)
class ProcessIdentity:
    """The identity of a process. A later process with the same number has another one.

    Attributes:
        pid: The process id.
        boot_id: The kernel's id of the boot; empty from older versions, and on systems without one.
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
        # A process that got the number later started later. The wall clock may have been set, so the
        # process has to name the folder too.
        was_running = process.create_time() <= identity.wall + _ROUNDING
        return was_running and (
            folder in process.cmdline() or process.environ().get(MARK) == folder
        )
    except (psutil.Error, OSError, ValueError, OverflowError):
        # A tenant can write any number into its status.
        return False


def visit_processes(folder: str, visit: Callable[[int], None], *, until_none: bool = False) -> bool:
    """Call a function for each process of a tenant, in any session or group.

    Args:
        folder: The tenant's folder.
        visit: Called with the number of each process as it is found.
        until_none: Search until no process is left, because ``visit`` ends the processes.

    Returns:
        Whether a process of the tenant was found.
    """
    # A pass over all processes takes longer than a fork. A tenant's process that forks and exits can
    # thus escape it. Each later pass checks, without a pause, the processes that started since the
    # previous pass. The passes end once no new process is, or may be, the tenant's. A process that
    # exited before its check may have left a child.
    is_first, has_found, end = True, False, time.monotonic() + _LONGEST_SEARCH
    newest, unreadable = _newest_pid(), set[int]()
    started: Iterable[int] = psutil.pids()
    while time.monotonic() < end:
        results = {pid: _visit(pid, folder, visit) for pid in {*unreadable, *started}}
        has_found = has_found or True in results.values()
        # The kernel assigns a number before the process is visible. Check these once more.
        unreadable = {pid for pid in started if results[pid] is None}
        is_done = not unreadable and True not in results.values()
        if not is_first and (is_done or (has_found and not until_none)):
            break
        is_first, before, newest = False, newest, _newest_pid()
        # At its limit the kernel starts again from low numbers. Then all processes are checked.
        started = range(before + 1, newest + 1) if 0 < before <= newest else psutil.pids()
    return has_found


def _newest_pid() -> int:
    """Return the number of the newest process or thread, proc(5); zero on other systems."""
    try:
        return int((_PROC / "loadavg").read_bytes().split()[-1])
    except OSError:
        return 0


def _visit(pid: int, folder: str, visit: Callable[[int], None]) -> bool | None:
    has_mark = _has_mark(pid, folder)
    if has_mark:
        visit(pid)
    return has_mark


def kill(pid: int) -> None:
    """Kill a process, and its group unless that is in the worker's session."""
    # A new child is in its parent's group. The kernel lets no process fork into a group while it kills
    # the group, so a process that keeps forking cannot escape.
    with suppress(ProcessLookupError, PermissionError):
        if os.getsid(pid) != os.getsid(0):
            os.killpg(os.getpgid(pid), signal.SIGKILL)
    send_signal(pid, signal.SIGKILL)


def kill_lock_holders(folder: Path, lock: Path) -> None:
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
