"""Signals to processes that are certainly a tenant's; the only door to psutil."""

import os
from collections.abc import Iterator
from contextlib import suppress

import attrs
import psutil

from landlord_engines_core.compute.process.runner import MARK, boot_id, start_ticks

__all__ = ["Started", "is_started", "marked", "send", "send_to_group"]

_SLACK = 2.0
"""Seconds by which the start of a process and the time of a note may differ by rounding."""


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
    if noted.boot_id and noted.ticks:
        return noted.boot_id == boot_id() and noted.ticks == start_ticks(noted.pid)
    try:
        process = psutil.Process(noted.pid)
        old = process.create_time() <= noted.wall + _SLACK
        return old and (folder in process.cmdline() or process.environ().get(MARK) == folder)
    except (psutil.Error, OSError):
        return False


def marked(folder: str) -> Iterator[int]:
    """All processes that were started for the tenant with this folder, wherever they went."""
    for pid in psutil.pids():
        with suppress(psutil.Error, OSError):
            if psutil.Process(pid).environ().get(MARK) == folder:
                yield pid


def send(pid: int, number: int) -> None:
    """Signal a process, if it is still there."""
    with suppress(ProcessLookupError, PermissionError):
        os.kill(pid, number)


def send_to_group(pid: int, number: int) -> None:
    """Signal the group that this process leads, if there is one."""
    with suppress(ProcessLookupError, PermissionError):
        os.killpg(pid, number)
