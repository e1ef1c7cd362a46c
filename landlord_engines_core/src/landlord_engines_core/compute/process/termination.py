"""Termination of all processes of a tenant, with or without their runner.

The runner is the process that starts the tenant's command. Two locks show which processes are alive. The
runner holds ``runner.lock``; all processes of the tenant inherit ``command.lock``. A tenant runs as the
worker's user, so it can close an inherited lock or replace its file. Its unlocked processes, which hold
no lock, are found by the variable `MARK` in their environment.

Termination therefore has two phases, each with SIGTERM first and SIGKILL later:

1. Signal until the command lock is free, and take it. Nobody can start a command without it.
2. With the lock held, signal unlocked processes until none is found.
"""

import asyncio
import os
import signal
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import attrs

from landlord_engines_core.compute.process import processes
from landlord_engines_core.compute.process.config import LONGEST_STOP_TIMEOUT
from landlord_engines_core.compute.process.folder import Folder, RunnerStatus
from landlord_engines_core.compute.process.locks import try_lock
from landlord_engines_core.compute.process.processes import ProcessIdentity, is_same_process
from landlord_engines_core.compute.process.requests import backoff_delays, send_work
from landlord_engines_core.compute.process.runner import MARK
from landlord_engines_core.errors import ComputeUnavailable

__all__ = ["longest_stop", "stop_all"]

_GRACE = 10.0
"""Seconds that a busy machine may need after each signal, beyond the tenant's ``stop_timeout``."""


def longest_stop(stop_timeout: float) -> float:
    """Return the maximum of seconds until a tenant's processes have ended."""
    return stop_timeout + 2 * _GRACE


@asynccontextmanager
async def stop_all(folder: Folder, *, is_new: bool = False) -> AsyncIterator[int]:
    """Stop a tenant's processes, and yield the command lock, without which none can be started.

    Args:
        folder: The tenant's folder.
        is_new: Whether nothing ran there before. That saves a search of all processes.

    Raises:
        ComputeUnavailable: A process does not end.
    """
    lock = await _stop_and_lock(folder, is_new=is_new)
    try:
        yield lock
    finally:
        os.close(lock)


async def _stop_and_lock(folder: Folder, *, is_new: bool) -> int:
    files = await asyncio.to_thread(folder.read)
    stop_timeout = _read_stop_timeout(files.status)
    end = time.monotonic() + longest_stop(stop_timeout)
    for number, timeout in ((signal.SIGTERM, stop_timeout + _GRACE), (signal.SIGKILL, _GRACE)):
        signaller = _Signaller(folder, number, is_new=is_new)
        for pause in backoff_delays(timeout):
            if (lock := await try_lock(folder.command_lock)) is not None:
                try:
                    await _stop_unlocked(folder, stop_timeout, end, is_new=is_new)
                except BaseException:
                    os.close(lock)
                    raise
                return lock
            await send_work(signaller.signal_lock_holders)
            await asyncio.sleep(pause)
    raise ComputeUnavailable(
        "a process of this tenant does not end, or cannot be found",
        hint="look for processes that have the tenant's command.lock open",
    )


def _read_stop_timeout(status: RunnerStatus | None) -> float:
    # The tenant can write any number into the file, NaN too. With the bound first, min() returns the
    # bound for NaN.
    return min(LONGEST_STOP_TIMEOUT, status.stop_timeout) if status is not None else 0.0


async def _stop_unlocked(folder: Folder, stop_timeout: float, end: float, *, is_new: bool) -> None:
    """Stop the processes that hold no lock, before ``end`` of the monotonic clock."""
    kill_at = min(time.monotonic() + stop_timeout, end - _GRACE)
    for number, deadline in ((signal.SIGTERM, kill_at), (signal.SIGKILL, end)):
        signaller = _Signaller(folder, number, is_new=is_new)
        for pause in backoff_delays(deadline - time.monotonic()):
            if not await send_work(signaller.signal_unlocked):
                return
            await asyncio.sleep(pause)
    raise ComputeUnavailable(
        "a process of this tenant does not end",
        hint=f"look for processes with {MARK}={folder.path} in their environment",
    )


@attrs.define
class _Signaller:
    """Sends one signal to a tenant's processes, to each of them once.

    SIGKILL is repeated for processes found by their environment, since a process may fork meanwhile.
    """

    folder: Folder
    number: signal.Signals
    is_new: bool = attrs.field(kw_only=True)
    signalled: set[int] = attrs.field(factory=set)

    def signal_lock_holders(self) -> None:
        """Signal the runner, which stops its command; search for others only if needed."""
        files = self.folder.read()
        has_runner = self._signal_runner(files.status)
        # A search reads the environment of every process of the machine. For SIGTERM none is needed
        # while a runner is alive. If its lock is held but its status names no running process, the
        # tenant changed the status. Only a search finds the processes then.
        if self.number is signal.SIGKILL or not files.is_alive or not has_runner:
            self._search(files.status)

    def signal_unlocked(self) -> bool:
        """Signal every process of the tenant, and return whether there was any."""
        status = self.folder.read().status
        if status is None and self.is_new:
            return False
        has_runner = self._signal_runner(status)
        return self._search(status) or has_runner

    def _signal_runner(self, status: RunnerStatus | None) -> bool:
        return status is not None and self._signal_known(status.pid, status.ticks, status)

    def _search(self, status: RunnerStatus | None) -> bool:
        folder = str(self.folder.path)
        # Usually the runner signals the command's group. It may be gone.
        if (
            status is not None
            and status.child
            and self._signal_known(status.child, status.child_ticks, status)
        ):
            processes.signal_group(status.child, self.number)
        if self.number is signal.SIGKILL:
            return processes.visit_processes(folder, processes.kill, until_none=True)
        return processes.visit_processes(folder, self._send)

    def _signal_known(self, pid: int, ticks: int, status: RunnerStatus) -> bool:
        """Signal a process that the status names, and return whether it is alive."""
        identity = ProcessIdentity(
            pid=pid, boot_id=status.boot_id, ticks=ticks, wall=status.started
        )
        is_alive = is_same_process(identity, str(self.folder.path))
        if is_alive:
            self._send(pid)
        return is_alive

    def _send(self, pid: int) -> None:
        if pid not in self.signalled:
            self.signalled.add(pid)
            processes.send_signal(pid, self.number)
