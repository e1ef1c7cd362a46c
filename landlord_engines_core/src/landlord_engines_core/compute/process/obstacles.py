"""Obstacles to the removal of a tenant's folder: flags of chattr(1), and mounts.

The flags are immutable and append-only. They count as clear on a file system without them, and on a
system without this ioctl. Data behind a mount belongs to somebody else and is never removed. A bind
mount has the device number of the folder around it, but its own mount id in the kernel.
"""

import fcntl
import os
import re
import stat
import struct
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from landlord_engines_core.compute.process.errors import (
    mount_error,
    ownership_error,
    protection_error,
)
from landlord_engines_core.errors import ComputeRefused

__all__ = [
    "denial_error",
    "is_protected",
    "list_mounts",
    "mount_id",
    "refuse_mounts",
    "without_protection",
]

_READ, _WRITE = 2 << 30, 1 << 30
_LONG = struct.calcsize("l") << 16
_GET_FLAGS = _READ | _LONG | ord("f") << 8 | 1
_SET_FLAGS = _WRITE | _LONG | ord("f") << 8 | 2
"""FS_IOC_GETFLAGS and FS_IOC_SETFLAGS, ioctl_iflags(2): direction, size, type and number."""

_FLAGS_FORMAT = struct.Struct("i4x")
"""The request declares a long, but the kernel reads and writes an int."""

_PROTECTION = 0x10 | 0x20
"""FS_IMMUTABLE_FL and FS_APPEND_FL."""

_OPEN_FLAGS = os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC

_MOUNTS = Path("/proc/self/mountinfo")
_DESCRIPTORS = Path("/proc/self/fdinfo")
_ESCAPE = re.compile(rb"\\([0-7]{3})")
_MOUNT_ID = re.compile(r"^mnt_id:\s*(\d+)$", re.MULTILINE)


def refuse_mounts(folder: Path) -> None:
    """Refuse to remove a folder with mounts in it.

    Raises:
        ComputeRefused: With the mount points.
    """
    if points := list_mounts(folder):
        raise mount_error(*points)


def denial_error(parent: int, path: Path, error: OSError) -> ComputeRefused:
    """Return the error for a path that this user may not remove.

    Args:
        parent: The descriptor of the path's folder.
        path: The path that was not removed.
        error: The error of the operating system.
    """
    if is_protected(parent, path.name):
        return protection_error(path)
    if is_protected(parent, "."):
        return protection_error(path.parent)
    owner = os.stat(path.name, dir_fd=parent, follow_symlinks=False).st_uid
    return ownership_error(path, owner, error)


def list_mounts(folder: Path) -> list[Path]:
    """List the mount points at a folder and in it, by proc_pid_mountinfo(5).

    The list is empty on a system without that file.
    """
    try:
        lines = _MOUNTS.read_bytes().splitlines()
    except OSError:
        return []
    real = folder.parent.resolve() / folder.name
    points = (Path(os.fsdecode(_ESCAPE.sub(_unescape, line.split()[4]))) for line in lines)
    return [point for point in points if point.is_relative_to(real)]


def _unescape(match: re.Match[bytes]) -> bytes:
    return bytes([int(match[1], 8)])


def mount_id(descriptor: int) -> tuple[int, int]:
    """Return the device and the kernel's mount id of an open folder, proc(5).

    The id is zero on a system without mount ids.
    """
    try:
        match = _MOUNT_ID.search((_DESCRIPTORS / str(descriptor)).read_text())
    except OSError:
        match = None
    return os.fstat(descriptor).st_dev, int(match[1]) if match else 0


def is_protected(parent: int, name: str) -> bool:
    """Return whether a file or folder has one of the flags; ``False`` if the worker may not open it."""
    with _open_to_inspect(parent, name) as descriptor:
        return descriptor is not None and bool(_get_flags(descriptor) & _PROTECTION)


@contextmanager
def without_protection(parent: int, name: str) -> Iterator[None]:
    """Clear the flags of a file or folder in an open folder. No link is followed.

    Raises:
        PermissionError: The process lacks CAP_LINUX_IMMUTABLE, which root has.
    """
    with _open_to_inspect(parent, name) as descriptor:
        if descriptor is None:
            yield
            return
        links, flags = os.fstat(descriptor).st_nlink, _clear_protection(descriptor)
        yield
        # A file with another hard link, perhaps outside the tenant's folder, gets its flags back.
        if flags and 0 < os.fstat(descriptor).st_nlink < links:
            _set_flags(descriptor, flags)


def _clear_protection(descriptor: int) -> int:
    """Clear the flags, and return all that were set; zero if there was nothing to clear."""
    flags = _get_flags(descriptor)
    if not flags & _PROTECTION:
        return 0
    _set_flags(descriptor, flags & ~_PROTECTION)
    return flags


@contextmanager
def _open_to_inspect(parent: int, name: str) -> Iterator[int | None]:
    """Open a file or folder; yield ``None`` for other kinds, and without permission."""
    mode = os.stat(name, dir_fd=parent, follow_symlinks=False).st_mode
    descriptor = None
    # Opening a device may have side effects.
    if stat.S_ISREG(mode) or stat.S_ISDIR(mode):
        with suppress(PermissionError):
            descriptor = os.open(name, _OPEN_FLAGS, dir_fd=parent)
    try:
        yield descriptor
    finally:
        if descriptor is not None:
            os.close(descriptor)


def _get_flags(descriptor: int) -> int:
    try:
        value = fcntl.ioctl(descriptor, _GET_FLAGS, bytes(_FLAGS_FORMAT.size))
    except OSError:
        return 0
    return int(_FLAGS_FORMAT.unpack(value)[0])


def _set_flags(descriptor: int, flags: int) -> None:
    fcntl.ioctl(descriptor, _SET_FLAGS, _FLAGS_FORMAT.pack(flags))
