"""Mounts in a tenant's folder. What lies behind one is somebody else's and is never removed.

The device's number does not tell a bind mount from the folder around it: the kernel's mount id does.
"""

import os
import re
from pathlib import Path

__all__ = ["mount_id", "mounts_below"]

_MOUNTS = Path("/proc/self/mountinfo")
_DESCRIPTORS = Path("/proc/self/fdinfo")
_ESCAPED = re.compile(rb"\\([0-7]{3})")
_ID = re.compile(r"^mnt_id:\s*(\d+)$", re.MULTILINE)


def mounts_below(folder: Path) -> list[Path]:
    """What is mounted at this folder or in it, by proc_pid_mountinfo(5); nothing is touched.

    Where the system has no such list it is empty.
    """
    try:
        lines = _MOUNTS.read_bytes().splitlines()
    except OSError:
        return []
    real = folder.parent.resolve() / folder.name
    points = (Path(os.fsdecode(_ESCAPED.sub(_unescaped, line.split()[4]))) for line in lines)
    return [point for point in points if point.is_relative_to(real)]


def mount_id(descriptor: int) -> tuple[int, int]:
    """What tells the mount that an open folder is on: its device, and the kernel's id, proc(5).

    The id is zero where the system tells none.
    """
    try:
        found = _ID.search((_DESCRIPTORS / str(descriptor)).read_text())
    except OSError:
        found = None
    return os.fstat(descriptor).st_dev, int(found[1]) if found else 0


def _unescaped(match: re.Match[bytes]) -> bytes:
    return bytes([int(match[1], 8)])
