"""Locks on files, held by a process and its children as long as they have the file open.

The kernel releases a lock once every process has closed its descriptor.
"""

import asyncio
import fcntl
import os
import stat
from pathlib import Path

from landlord_engines_core.compute.process.removal import make_usable, remove_path
from landlord_engines_core.compute.process.runner import NotAFile, open_file

__all__ = ["is_held", "remove_foreign", "try_lock"]


def is_held(path: Path) -> bool:
    """Return whether a process holds this lock; ``False`` if it is not a regular file."""
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


async def try_lock(path: Path) -> int | None:
    """Take a lock if it is free, without blocking the event loop.

    Returns:
        The lock's descriptor, which the caller closes; ``None`` if it is held or its file was replaced.

    Raises:
        OSError: The folder is missing or may not be used.
    """
    attempt = asyncio.ensure_future(asyncio.to_thread(_try_lock, path))
    try:
        return await asyncio.shield(attempt)
    except asyncio.CancelledError:
        # The thread cannot be stopped. The lock is released once the thread has taken it.
        attempt.add_done_callback(_close_lock)
        raise


def _open(path: Path, flags: int) -> int:
    try:
        return open_file(path, flags)
    except PermissionError:
        # A tenant runs as the worker's user, and may have changed the permissions.
        make_usable(path.parent, 0o700)
        if path.exists():
            make_usable(path, 0o600)
        return open_file(path, flags)


def _try_lock(path: Path) -> int | None:
    try:
        descriptor = _open(path, os.O_RDWR | os.O_CREAT)
    except NotAFile:
        remove_foreign(path)
        return None
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        # The tenant may have replaced the file. A lock on a removed file excludes nobody.
        if os.path.samestat(os.fstat(descriptor), path.lstat()):
            return descriptor
    except (BlockingIOError, FileNotFoundError):
        pass
    os.close(descriptor)
    return None


def remove_foreign(path: Path) -> None:
    """Remove a link, folder or device in place of a file, unless another worker is doing so."""
    if not _is_foreign(path):
        return
    folder = os.open(path.parent, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC)
    try:
        # A lock on the folder excludes other workers. Without it, one worker could remove the lock
        # file that another has just created.
        fcntl.flock(folder, fcntl.LOCK_EX | fcntl.LOCK_NB)
        if _is_foreign(path):
            remove_path(path)
    except BlockingIOError:
        pass
    finally:
        os.close(folder)


def _is_foreign(path: Path) -> bool:
    try:
        return not stat.S_ISREG(path.lstat().st_mode)
    except FileNotFoundError:
        return False


def _close_lock(attempt: "asyncio.Future[int | None]") -> None:
    if not attempt.cancelled() and attempt.exception() is None and (descriptor := attempt.result()):
        os.close(descriptor)
