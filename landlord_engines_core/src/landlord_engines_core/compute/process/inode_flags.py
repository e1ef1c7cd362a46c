"""The flags of chattr(1) that keep a file or folder from being changed: immutable, and append-only.

A file system without such flags, and a system without this ioctl, show none.
"""

import fcntl
import os
import stat
import struct
from collections.abc import Iterator
from contextlib import contextmanager, suppress

__all__ = ["is_protected", "unprotected"]

_READ, _WRITE = 2 << 30, 1 << 30
_LONG = struct.calcsize("l") << 16
_GET_FLAGS = _READ | _LONG | ord("f") << 8 | 1
_SET_FLAGS = _WRITE | _LONG | ord("f") << 8 | 2
"""FS_IOC_GETFLAGS and FS_IOC_SETFLAGS, ioctl_iflags(2)."""

_VALUE = struct.Struct("i4x")
"""The kernel reads and writes an int, in room for a long."""

_PROTECTING = 0x10 | 0x20
"""FS_IMMUTABLE_FL and FS_APPEND_FL."""

_LOOK = os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC


def is_protected(parent: int, name: str) -> bool:
    """Whether this name's file or folder has one of the flags; no where it may not be opened."""
    with _opened(parent, name) as descriptor:
        return descriptor is not None and bool(_flags(descriptor) & _PROTECTING)


@contextmanager
def unprotected(parent: int, name: str) -> Iterator[None]:
    """Clear the flags of what has this name in an open folder, for the time of an act.

    A file that loses this name and has another one, perhaps outside of the tenant's folder, gets its
    flags back. No link is followed, and no device is opened.

    Raises:
        PermissionError: The process lacks CAP_LINUX_IMMUTABLE, which root has.
    """
    with _opened(parent, name) as descriptor:
        if descriptor is None:
            yield
            return
        names, before = os.fstat(descriptor).st_nlink, _cleared(descriptor)
        yield
        if before and 0 < os.fstat(descriptor).st_nlink < names:
            _set(descriptor, before)


def _cleared(descriptor: int) -> int:
    """Clear the flags, and return all that were set; zero where there was nothing to clear."""
    flags = _flags(descriptor)
    if not flags & _PROTECTING:
        return 0
    _set(descriptor, flags & ~_PROTECTING)
    return flags


@contextmanager
def _opened(parent: int, name: str) -> Iterator[int | None]:
    """Open a file or folder to look at its flags; ``None`` for all else, and what may not be read."""
    mode = os.stat(name, dir_fd=parent, follow_symlinks=False).st_mode
    descriptor = None
    if stat.S_ISREG(mode) or stat.S_ISDIR(mode):
        with suppress(PermissionError):
            descriptor = os.open(name, _LOOK, dir_fd=parent)
    try:
        yield descriptor
    finally:
        if descriptor is not None:
            os.close(descriptor)


def _flags(descriptor: int) -> int:
    try:
        value = fcntl.ioctl(descriptor, _GET_FLAGS, bytes(_VALUE.size))
    except OSError:
        return 0
    return int(_VALUE.unpack(value)[0])


def _set(descriptor: int, flags: int) -> None:
    fcntl.ioctl(descriptor, _SET_FLAGS, _VALUE.pack(flags))
