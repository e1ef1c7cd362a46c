"""Removing a tenant's folder, whatever the tenant made in it.

No link is followed. Of a tree of any depth, two folders are open at a time: each folder is moved to the
top before it is emptied. What stays after a failure or a crash is removed by the next attempt.
"""

import os
import stat
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from uuid import uuid4

__all__ = ["regain", "remove"]

_OWN = os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC


def regain(path: Path, mode: int) -> None:
    """Have the worker's user use this again, where a tenant with the same user took that away.

    Raises:
        OSError: It is not there, or another user's.
    """
    if not path.is_symlink():
        path.chmod(mode)


def remove(path: Path) -> None:
    """Remove a folder with all that is in it; the locks, and what tells of the tenant, last.

    Raises:
        OSError: Something in it cannot be removed by this user; all else that came before it is.
    """
    regain(path, 0o700)
    with _opened(path) as top:
        while folders := _folders(top):
            for name in folders:
                _flatten(top, name)
        for name in sorted(_names(top), key=lambda name: name.endswith((".json", ".lock"))):
            os.unlink(name, dir_fd=top)
    path.rmdir()


def _flatten(top: int, name: str) -> None:
    """Remove one folder in the top; those in it are moved beside it."""
    _use(top, name)
    folder = os.open(name, _OWN, dir_fd=top)
    try:
        for child in _names(folder):
            if _is_folder(folder, child):
                # To move a folder changes its own entry of the folder above.
                _use(folder, child)
                os.rename(child, uuid4().hex, src_dir_fd=folder, dst_dir_fd=top)
            else:
                os.unlink(child, dir_fd=folder)
    finally:
        os.close(folder)
    os.rmdir(name, dir_fd=top)


def _use(parent: int, name: str) -> None:
    # Nobody of the tenant lives by now who could put a link in its place.
    os.chmod(name, 0o700, dir_fd=parent)


def _folders(top: int) -> list[str]:
    return [name for name in _names(top) if _is_folder(top, name)]


def _names(folder: int) -> list[str]:
    # pathlib lists no descriptor.
    return os.listdir(folder)


def _is_folder(parent: int, name: str) -> bool:
    return stat.S_ISDIR(os.stat(name, dir_fd=parent, follow_symlinks=False).st_mode)


@contextmanager
def _opened(path: Path) -> Iterator[int]:
    folder = os.open(path, _OWN)
    try:
        yield folder
    finally:
        os.close(folder)
