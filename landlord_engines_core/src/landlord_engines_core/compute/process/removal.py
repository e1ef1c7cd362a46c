"""Removal of a tenant's folder, with anything that the tenant created in it.

No link is followed and no mount is crossed. Flags of chattr(1) are cleared if the worker may do so.
Each subfolder is moved to the top folder before it is emptied, so a tree of any depth needs two open
folders. After a failure or a crash the next attempt removes the rest.
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

from landlord_engines_core.compute.process.errors import mount_error
from landlord_engines_core.compute.process.obstacles import (
    denial_error,
    mount_id,
    refuse_mounts,
    without_protection,
)

__all__ = ["make_usable", "remove_folder", "remove_path"]

T = TypeVar("T")

_OPEN_FLAGS = os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC
_DENIED_ERRORS = (errno.EPERM, errno.EACCES)


def make_usable(path: Path, mode: int) -> None:
    """Set the permissions of a path. A tenant, who runs as the worker's user, may have removed them.

    Raises:
        ComputeRefused: The worker may not set them. The error says why.
        OSError: The path does not exist.
    """
    with _open_folder(path.parent) as parent:
        if not stat.S_ISLNK(parent.mode_of(path.name)):
            parent.force(path.name, lambda: os.chmod(path.name, mode, dir_fd=parent.descriptor))


def remove_folder(path: Path) -> None:
    """Remove a folder with its contents.

    Raises:
        ComputeRefused: Only a person can help. With a mount in the folder, nothing is removed.
        OSError: A part cannot be removed. Other parts may be gone already.
    """
    refuse_mounts(path)
    with _open_folder(path.parent) as parent:
        with parent.enter(path.name) as top:
            _empty_folder(top)
        parent.force(path.name, lambda: os.rmdir(path.name, dir_fd=parent.descriptor))


def remove_path(path: Path) -> None:
    """Remove a file, folder, link or device in a tenant's folder. No link is followed.

    Raises:
        ComputeRefused: As `remove_folder` does.
        OSError: As `remove_folder` does.
    """
    with _open_folder(path.parent) as parent:
        if not parent.has_folder(path.name):
            parent.unlink(path.name)
            return
    remove_folder(path)


@attrs.frozen
class _OpenFolder:
    """An open folder."""

    descriptor: int
    path: Path

    def list_names(self) -> list[str]:
        return os.listdir(self.descriptor)  # noqa: PTH208  # pathlib lists no descriptor

    def list_folders(self) -> list[str]:
        return [name for name in self.list_names() if self.has_folder(name)]

    def has_folder(self, name: str) -> bool:
        return stat.S_ISDIR(self.mode_of(name))

    def mode_of(self, name: str) -> int:
        return os.stat(name, dir_fd=self.descriptor, follow_symlinks=False).st_mode

    def unlink(self, name: str) -> None:
        self.force(name, lambda: os.unlink(name, dir_fd=self.descriptor))

    @contextmanager
    def enter(self, name: str) -> Iterator["_OpenFolder"]:
        """Open a subfolder for its removal, unless it is a mount point."""
        flags = _OPEN_FLAGS | os.O_NOFOLLOW
        descriptor = self.force(name, lambda: os.open(name, flags, dir_fd=self.descriptor))
        try:
            if mount_id(descriptor) != mount_id(self.descriptor):
                raise mount_error(self.path / name)
            self.force(name, lambda: os.fchmod(descriptor, 0o700))
            yield _OpenFolder(descriptor, self.path / name)
        finally:
            os.close(descriptor)

    def force(self, name: str, operation: Callable[[], T]) -> T:
        """Run an operation on a name in this folder; if denied, clear flags and permissions first."""
        try:
            return operation()
        except OSError as error:
            if error.errno == errno.EBUSY:
                # Only a mount point is busy.
                raise mount_error(self.path / name) from None
            if error.errno not in _DENIED_ERRORS:
                raise
        try:
            with without_protection(self.descriptor, name):
                if self.has_folder(name):
                    # os.chmod follows links here. No process of the tenant is alive that could replace
                    # the folder by a link.
                    os.chmod(name, 0o700, dir_fd=self.descriptor)
                return operation()
        except PermissionError as error:
            raise denial_error(self.descriptor, self.path / name, error) from None


def _empty_folder(top: _OpenFolder) -> None:
    while folders := top.list_folders():
        for name in folders:
            _flatten(top, name)
    # The locks and the state come last: after a crash the next attempt finds the tenant by them.
    for name in sorted(top.list_names(), key=lambda name: name.endswith((".json", ".lock"))):
        top.unlink(name)


def _flatten(top: _OpenFolder, name: str) -> None:
    """Remove one folder in the top, and move its subfolders to the top."""
    with top.enter(name) as folder:
        for child in folder.list_names():
            if folder.has_folder(child):
                _move_up(folder, child, top)
            else:
                folder.unlink(child)
    top.force(name, lambda: os.rmdir(name, dir_fd=top.descriptor))


def _move_up(folder: _OpenFolder, child: str, top: _OpenFolder) -> None:
    def move() -> None:
        name = uuid4().hex
        os.rename(child, name, src_dir_fd=folder.descriptor, dst_dir_fd=top.descriptor)

    folder.force(child, move)


@contextmanager
def _open_folder(path: Path) -> Iterator[_OpenFolder]:
    descriptor = os.open(path, _OPEN_FLAGS)
    try:
        yield _OpenFolder(descriptor, path)
    finally:
        os.close(descriptor)
