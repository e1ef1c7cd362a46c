"""Ending whatever lives of a tenant, whoever started it and whatever became of its runner."""

import asyncio
import os
import signal
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import attrs

from landlord_engines_core.compute.process import processes
from landlord_engines_core.compute.process.folder import Folder, Note, Seen
from landlord_engines_core.compute.process.locks import take
from landlord_engines_core.compute.process.pauses import pauses
from landlord_engines_core.compute.process.processes import Started, is_started
from landlord_engines_core.compute.process.threads import send_work
from landlord_engines_core.errors import ComputeUnavailable

__all__ = ["longest_stop", "nobody_lives"]

_GRACE = 10.0
"""Seconds that a busy machine may take beyond a tenant's own time to end."""


def longest_stop(stop_timeout: float) -> float:
    """Seconds until the processes of a tenant with this ``stop_timeout`` have ended, at most."""
    return stop_timeout + 2 * _GRACE


@asynccontextmanager
async def nobody_lives(folder: Folder) -> AsyncIterator[int]:
    """End the tenant's processes; none can be started meanwhile but with the yielded lock.

    Raises:
        ComputeUnavailable: One does not end.
    """
    lock = await _lock(folder)
    try:
        yield lock
    finally:
        os.close(lock)


async def _lock(folder: Folder) -> int:
    seen = await asyncio.to_thread(folder.seen)
    own = seen.note.stop_timeout if seen.note is not None else 0.0
    for number, within in ((signal.SIGTERM, own + _GRACE), (signal.SIGKILL, _GRACE)):
        call = _Call(folder, number)
        for pause in pauses(within):
            if (lock := await take(folder.command_lock)) is not None:
                return await _without_strays(call, lock)
            await send_work(call.everybody)
            await asyncio.sleep(pause)
    raise ComputeUnavailable(
        "a process of this tenant does not end, or cannot be found",
        hint="look for processes that have the tenant's command.lock open",
    )


async def _without_strays(call: "_Call", lock: int) -> int:
    try:
        await send_work(call.strays)
    except BaseException:
        os.close(lock)
        raise
    return lock


@attrs.define
class _Call:
    """Tells each process once that it is to end.

    The runner ends its command, group and all. Others are looked for only where there is no runner,
    and by force also beside one, since that takes a look at every process of the machine.
    """

    folder: Folder
    number: signal.Signals
    told: set[int] = attrs.field(factory=set)

    def everybody(self) -> None:
        """Tell the runner, or those that it left behind."""
        seen = self.folder.seen()
        force = self.number is signal.SIGKILL
        if seen.lives and seen.note is not None:
            self._tell(seen.note.pid, seen.note.ticks, seen.note)
        if force or not seen.lives:
            self._left_behind(seen)

    def strays(self) -> None:
        """Kill those that hold no lock any more, where the runner could not."""
        seen = self.folder.seen()
        if seen.note is not None and not seen.note.ended:
            for pid in processes.marked(str(self.folder.path)):
                processes.send(pid, signal.SIGKILL)

    def _left_behind(self, seen: Seen) -> None:
        note = seen.note
        if note is not None and note.child and self._tell(note.child, note.child_ticks, note):
            processes.send_to_group(note.child, self.number)
        for pid in processes.marked(str(self.folder.path)):
            if pid not in self.told:
                self.told.add(pid)
                processes.send(pid, self.number)

    def _tell(self, pid: int, ticks: int, note: Note) -> bool:
        noted = Started(pid=pid, boot_id=note.boot_id, ticks=ticks, wall=note.started)
        if pid in self.told or not is_started(noted, str(self.folder.path)):
            return False
        self.told.add(pid)
        processes.send(pid, self.number)
        return True
