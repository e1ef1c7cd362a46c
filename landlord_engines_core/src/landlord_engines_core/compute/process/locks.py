"""Locks that a process and its children hold by having a file open, and that end with them.

Nobody unlocks: the lock is given back when the last descriptor is closed, whoever has it.
"""

import asyncio
import fcntl
import os
import stat
from pathlib import Path

from landlord_engines_core.compute.process.removal import remove_name, usable
from landlord_engines_core.compute.process.runner import NotAFile, open_file

__all__ = ["clear", "is_held", "take"]


def is_held(path: Path) -> bool:
    """Whether somebody holds this lock exclusively; what is no file is no lock."""
    try:
        descriptor = _open(path, os.O_RDWR)
    except (FileNotFoundError, NotAFile):
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
        return open_file(path, flags)
    except PermissionError:
        # A tenant has the worker's own user, and may have taken its access away.
        usable(path.parent, 0o700)
        if path.exists():
            usable(path, 0o600)
        return open_file(path, flags)


def _take(path: Path) -> int | None:
    try:
        descriptor = _open(path, os.O_RDWR | os.O_CREAT)
    except NotAFile:
        clear(path)
        return None
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        if os.path.samestat(os.fstat(descriptor), path.lstat()):
            return descriptor
    except (BlockingIOError, FileNotFoundError):
        pass
    os.close(descriptor)
    return None


def clear(path: Path) -> None:
    """Remove what stands where a file belongs, unless another worker is about to.

    The folder's own lock is held meanwhile: nobody removes the lock that another one just made.
    """
    if not _is_in_the_way(path):
        return
    folder = os.open(path.parent, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC)
    try:
        fcntl.flock(folder, fcntl.LOCK_EX | fcntl.LOCK_NB)
        if _is_in_the_way(path):
            remove_name(path)
    except BlockingIOError:
        pass
    finally:
        os.close(folder)


def _is_in_the_way(path: Path) -> bool:
    try:
        return not stat.S_ISREG(path.lstat().st_mode)
    except FileNotFoundError:
        return False


def _give_back(taking: "asyncio.Future[int | None]") -> None:
    if not taking.cancelled() and taking.exception() is None and (held := taking.result()):
        os.close(held)
