"""A small disk for restate-server, which a test can fill temporarily."""

import errno
import os
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory

import attrs

__all__ = ["SmallDisk", "reason_without_disk", "small_disk"]

WRITE_SIZE = 1024 * 1024


@attrs.frozen(kw_only=True)
class SmallDisk:
    """A file system that is small enough to fill.

    Attributes:
        folder: The mount point.
    """

    folder: Path

    def fill(self) -> None:
        """Fill the disk again and again, because its user may free space."""
        with self._ballast.open("ab", buffering=0) as ballast:
            try:
                while ballast.write(bytes(WRITE_SIZE)):
                    pass
            except OSError as error:
                if error.errno != errno.ENOSPC:
                    raise

    def free(self) -> None:
        """Free the space."""
        self._ballast.unlink(missing_ok=True)

    @property
    def _ballast(self) -> Path:
        return self.folder / "ballast"


@contextmanager
def small_disk(folder: Path, mebibytes: int) -> Iterator[SmallDisk]:
    """Mount a disk of this size, in memory, at a new folder."""
    folder.mkdir(parents=True)
    _mount(folder, mebibytes)
    try:
        yield SmallDisk(folder=folder)
    finally:
        # Unmounted lazily, because a process that ends later may still have a file open.
        subprocess.run(("umount", "--lazy", folder), check=True)


def reason_without_disk() -> str:
    """Return the reason why no disk can be mounted here; empty if one can."""
    if not sys.platform.startswith("linux"):
        return "only Linux has tmpfs"
    if os.geteuid() != 0:
        return "only root may mount a disk"
    with TemporaryDirectory() as folder:
        try:
            _mount(Path(folder), 1)
        except (OSError, subprocess.CalledProcessError) as error:
            return f"no disk can be mounted: {error}"
        subprocess.run(("umount", folder), check=True)
    return ""


def _mount(folder: Path, mebibytes: int) -> None:
    size = f"size={mebibytes}m,mode=0700"
    subprocess.run(("mount", "-t", "tmpfs", "-o", size, "tmpfs", folder), check=True)
