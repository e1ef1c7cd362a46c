"""Locks that a process and its children hold by having a file open, and that end with them.

Nobody unlocks: the lock is given back when the last descriptor is closed, whoever has it.
"""

import asyncio
import fcntl
import os
from pathlib import Path

from landlord_engines_core.compute.process.removal import regain

__all__ = ["is_held", "take"]


def is_held(path: Path) -> bool:
    """Whether somebody holds this lock exclusively."""
    try:
        descriptor = _open(path, os.O_RDWR)
    except FileNotFoundError:
        return False
    try:
        fcntl.flock(descriptor, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except BlockingIOError:
        return True
    finally:
        os.close(descriptor)
    return False


async def take(path: Path) -> int | None:
    """Take a lock if it is free, without blocking the event loop.

    Returns:
        The descriptor that holds it, to be closed by the caller; ``None`` if somebody else does, or
        if the file was replaced meanwhile.

    Raises:
        OSError: The folder is not there or may not be used.
    """
    taking = asyncio.ensure_future(asyncio.to_thread(_take, path))
    try:
        return await asyncio.shield(taking)
    except asyncio.CancelledError:
        # The thread goes on: what it takes is given back once it has it.
        taking.add_done_callback(_give_back)
        raise


def _open(path: Path, flags: int) -> int:
    try:
        return os.open(path, flags, 0o600)
    except PermissionError:
        # A tenant has the worker's own user, and may have taken its access away.
        regain(path.parent, 0o700)
        if path.exists():
            regain(path, 0o600)
        return os.open(path, flags, 0o600)


def _take(path: Path) -> int | None:
    descriptor = _open(path, os.O_RDWR | os.O_CREAT)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        if os.path.samestat(os.fstat(descriptor), path.stat()):
            return descriptor
    except (BlockingIOError, FileNotFoundError):
        pass
    os.close(descriptor)
    return None


def _give_back(taking: "asyncio.Future[int | None]") -> None:
    if not taking.cancelled() and taking.exception() is None and (held := taking.result()):
        os.close(held)
