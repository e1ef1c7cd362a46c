"""Signals to processes that are certainly a tenant's; the only door to psutil."""

import os
from collections.abc import Iterator
from contextlib import suppress

import psutil

from landlord_engines_core.compute.process.runner import MARK

__all__ = ["is_from", "marked", "send", "send_to_group"]

_SLACK = 2.0
"""Seconds by which the start of a process and the time of a note may differ by rounding."""


def is_from(pid: int, noted: float) -> bool:
    """Whether this process is the one that was noted then: one that got its number is younger."""
    try:
        created: float = psutil.Process(pid).create_time()
    except psutil.Error:
        return False
    return created <= noted + _SLACK


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
