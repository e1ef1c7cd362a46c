"""Removing a tenant's folder, whatever the tenant made in it.

No link is followed, no mount is crossed, and no flag of chattr(1) is in the way where the worker may
clear it. Of a tree of any depth, two folders are open at a time: each folder is moved to the top before
it is emptied. What stays after a failure or a crash is removed by the next attempt.
"""

import errno
import os
import stat
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TypeVar
from uuid import uuid4

import attrs

from landlord_engines_core.compute.process.inode_flags import unprotected
from landlord_engines_core.compute.process.mount_points import mount_id
from landlord_engines_core.compute.process.obstacles import (
    mounted,
    not_permitted,
    refuse_mounts,
)

__all__ = ["remove", "remove_name", "usable"]

T = TypeVar("T")

_OWN = os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC
_DENIED = (errno.EPERM, errno.EACCES)


def usable(path: Path, mode: int) -> None:
    """Have the worker's user use this again, where a tenant with the same user took that away.

    Raises:
        ComputeRefused: The worker's user may not; the text says why.
        OSError: It is not there.
    """
    with _opened(path.parent) as above:
        if not stat.S_ISLNK(above.mode(path.name)):
            above.act(path.name, lambda: os.chmod(path.name, mode, dir_fd=above.descriptor))


def remove(path: Path) -> None:
    """Remove a folder with all that is in it; the locks, and what tells of the tenant, last.

    Raises:
        ComputeRefused: A person has to help: something is mounted in it, or may not be removed by
            this user. Of a folder with a mount nothing is removed.
        OSError: Something in it cannot be removed; all else that came before it is.
    """
    refuse_mounts(path)
    with _opened(path.parent) as above:
        with above.entered(path.name) as top:
            _empty(top)
        above.act(path.name, lambda: os.rmdir(path.name, dir_fd=above.descriptor))


def remove_name(path: Path) -> None:
    """Remove whatever has this name in a tenant's folder, a link itself and not what it leads to.

    Raises:
        ComputeRefused: As `remove` does.
        OSError: As `remove` does.
    """
    with _opened(path.parent) as above:
        if not above.has_folder(path.name):
            above.unlink(path.name)
            return
    remove(path)


@attrs.frozen
class _Folder:
    """A folder that is open."""

    descriptor: int
    path: Path

    def names(self) -> list[str]:
        return os.listdir(self.descriptor)  # noqa: PTH208  # pathlib lists no descriptor

    def folders(self) -> list[str]:
        return [name for name in self.names() if self.has_folder(name)]

    def has_folder(self, name: str) -> bool:
        return stat.S_ISDIR(self.mode(name))

    def mode(self, name: str) -> int:
        return os.stat(name, dir_fd=self.descriptor, follow_symlinks=False).st_mode

    def unlink(self, name: str) -> None:
        self.act(name, lambda: os.unlink(name, dir_fd=self.descriptor))

    @contextmanager
    def entered(self, name: str) -> Iterator["_Folder"]:
        """Open a folder in this one for its removal, unless something is mounted there."""
        flags = _OWN | os.O_NOFOLLOW
        descriptor = self.act(name, lambda: os.open(name, flags, dir_fd=self.descriptor))
        try:
            if mount_id(descriptor) != mount_id(self.descriptor):
                raise mounted(self.path / name)
            self.act(name, lambda: os.fchmod(descriptor, 0o700))
            yield _Folder(descriptor, self.path / name)
        finally:
            os.close(descriptor)

    def act(self, name: str, act: Callable[[], T]) -> T:
        """Do this to what has a name here, and where it is denied take the hindrance away first."""
        try:
            return act()
        except OSError as error:
            if error.errno == errno.EBUSY:
                raise mounted(self.path / name) from None
            if error.errno not in _DENIED:
                raise
        try:
            with unprotected(self.descriptor, name):
                if self.has_folder(name):
                    # Nobody of the tenant lives by now who could put a link in its place.
                    os.chmod(name, 0o700, dir_fd=self.descriptor)
                return act()
        except PermissionError as error:
            raise not_permitted(self.descriptor, self.path / name, error) from None


def _empty(top: _Folder) -> None:
    while folders := top.folders():
        for name in folders:
            _flatten(top, name)
    for name in sorted(top.names(), key=lambda name: name.endswith((".json", ".lock"))):
        top.unlink(name)


def _flatten(top: _Folder, name: str) -> None:
    """Remove one folder in the top; those in it are moved beside it."""
    with top.entered(name) as folder:
        for child in folder.names():
            if folder.has_folder(child):
                _move_up(folder, child, top)
            else:
                folder.unlink(child)
    top.act(name, lambda: os.rmdir(name, dir_fd=top.descriptor))


def _move_up(folder: _Folder, child: str, top: _Folder) -> None:
    def move() -> None:
        locations = (folder.descriptor, top.descriptor)
        os.rename(child, uuid4().hex, src_dir_fd=locations[0], dst_dir_fd=locations[1])

    folder.act(child, move)


@contextmanager
def _opened(path: Path) -> Iterator[_Folder]:
    descriptor = os.open(path, _OWN)
    try:
        yield _Folder(descriptor, path)
    finally:
        os.close(descriptor)
