"""Ending whatever lives of a tenant, whoever started it and whatever became of its runner."""

import asyncio
import os
import signal
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import attrs

from landlord_engines_core.compute.process import processes
from landlord_engines_core.compute.process.backoff import backoff_delays
from landlord_engines_core.compute.process.config import LONGEST_STOP_TIMEOUT
from landlord_engines_core.compute.process.folder import Folder, RunnerStatus
from landlord_engines_core.compute.process.locks import take
from landlord_engines_core.compute.process.processes import Started, is_started
from landlord_engines_core.compute.process.runner import MARK
from landlord_engines_core.compute.process.threads import send_work
from landlord_engines_core.errors import ComputeUnavailable

__all__ = ["longest_stop", "stop_all"]

_GRACE = 10.0
"""Seconds that a busy machine may take beyond a tenant's own time to end."""


def longest_stop(stop_timeout: float) -> float:
    """Seconds until the processes of a tenant with this ``stop_timeout`` have ended, at most."""
    return stop_timeout + 2 * _GRACE


@asynccontextmanager
async def stop_all(folder: Folder, *, is_new: bool = False) -> AsyncIterator[int]:
    """End the tenant's processes; none can be started meanwhile but with the yielded lock.

    Args:
        folder: The tenant's folder.
        is_new: Nothing is known to have run there: a look at every process of the machine is saved.

    Raises:
        ComputeUnavailable: One does not end.
    """
    lock = await _lock(folder, is_new=is_new)
    try:
        yield lock
    finally:
        os.close(lock)


async def _lock(folder: Folder, *, is_new: bool) -> int:
    seen = await asyncio.to_thread(folder.seen)
    own = _own_time(seen.note)
    end = time.monotonic() + longest_stop(own)
    for number, within in ((signal.SIGTERM, own + _GRACE), (signal.SIGKILL, _GRACE)):
        call = _Call(folder, number, is_new=is_new)
        for pause in backoff_delays(within):
            if (lock := await take(folder.command_lock)) is not None:
                return await _without_orphans(call, lock, own, end)
            await send_work(call.everybody)
            await asyncio.sleep(pause)
    raise ComputeUnavailable(
        "a process of this tenant does not end, or cannot be found",
        hint="look for processes that have the tenant's command.lock open",
    )


def _own_time(note: RunnerStatus | None) -> float:
    # A tenant can write any number into its note, and NaN; the bound is first for that.
    return min(LONGEST_STOP_TIMEOUT, note.stop_timeout) if note is not None else 0.0


async def _without_orphans(before: "_Call", lock: int, own: float, end: float) -> int:
    """End those that hold no lock: they gave it up, or its file was replaced."""
    try:
        for number, until in (
            (signal.SIGTERM, min(time.monotonic() + own, end - _GRACE)),
            (signal.SIGKILL, end),
        ):
            call = attrs.evolve(before, number=number, told=set())
            for pause in backoff_delays(until - time.monotonic()):
                if not await send_work(call.has_orphans):
                    return lock
                await asyncio.sleep(pause)
    except BaseException:
        os.close(lock)
        raise
    os.close(lock)
    raise ComputeUnavailable(
        "a process of this tenant does not end",
        hint=f"look for processes with {MARK}={before.folder.path} in their environment",
    )


@attrs.define
class _Call:
    """Tells each process once that it is to end, and by force as often as it is found.

    The runner ends its command, group and all. Others are looked for only where there is no runner,
    and by force also beside one, since that takes a look at every process of the machine.
    """

    folder: Folder
    number: signal.Signals
    is_new: bool = attrs.field(default=False, kw_only=True)
    told: set[int] = attrs.field(factory=set)

    def everybody(self) -> None:
        """Tell the runner, or those that it left behind."""
        seen = self.folder.seen()
        runner = self._runner(seen.note)
        # Where the runner's lock is held and its note names nobody, a tenant changed the note.
        if self.number is signal.SIGKILL or not seen.lives or not runner:
            self._left_behind(seen.note)

    def has_orphans(self) -> bool:
        """Tell whoever there is, whatever the locks say; return whether there was anybody."""
        note = self.folder.seen().note
        if note is None and self.is_new:
            return False
        runner = self._runner(note)
        return self._left_behind(note) or runner

    def _runner(self, note: RunnerStatus | None) -> bool:
        return note is not None and self._tell(note.pid, note.ticks, note)

    def _left_behind(self, note: RunnerStatus | None) -> bool:
        folder = str(self.folder.path)
        if note is not None and note.child and self._tell(note.child, note.child_ticks, note):
            processes.send_to_group(note.child, self.number)
        if self.number is signal.SIGKILL:
            return processes.tell_all(folder, processes.kill, until_none=True)
        return processes.tell_all(folder, self._send)

    def _tell(self, pid: int, ticks: int, note: RunnerStatus) -> bool:
        """Tell a process that is noted, and return whether it lives."""
        noted = Started(pid=pid, boot_id=note.boot_id, ticks=ticks, wall=note.started)
        lives = is_started(noted, str(self.folder.path))
        if lives:
            self._send(pid)
        return lives

    def _send(self, pid: int) -> None:
        if pid not in self.told:
            self.told.add(pid)
            processes.send(pid, self.number)
