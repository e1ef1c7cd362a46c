"""Whether the folder for tenants can be used, told without making or changing anything."""

import os
from errno import errorcode
from pathlib import Path

from landlord_engines_core.errors import ComputeUnavailable

__all__ = ["usable_folder"]

_ALL = os.R_OK | os.W_OK | os.X_OK


def usable_folder(folder: Path) -> str:
    """Check the folder, or where it is not there yet, the one in which it would be made.

    Returns:
        What was found, for a person.

    Raises:
        ComputeUnavailable: Tenants could not be kept there.
    """
    try:
        nearest = next(one for one in (folder, *folder.parents) if _is_there(one))
    except OSError as error:
        name = errorcode.get(error.errno or 0, type(error).__name__)
        raise _unusable(folder, f"it cannot be looked at: {name}") from None
    if not nearest.is_dir():
        raise _unusable(folder, f"{nearest} is not a folder")
    if os.statvfs(nearest).f_flag & os.ST_RDONLY:
        raise _unusable(folder, f"{nearest} is on a read-only file system")
    if not os.access(nearest, _ALL, effective_ids=os.access in os.supports_effective_ids):
        raise _unusable(folder, f"permission denied on {nearest} for uid {os.geteuid()}")
    return f"folder {folder}" if nearest == folder else f"folder {folder}, to be made"


def _is_there(folder: Path) -> bool:
    """Whether there is anything; a link that leads nowhere is there too."""
    try:
        folder.lstat()
    except FileNotFoundError:
        return False
    except NotADirectoryError:
        # A file stands where a folder should; the file itself is met next.
        return False
    return True


def _unusable(folder: Path, why: str) -> ComputeUnavailable:
    return ComputeUnavailable(
        f"compute.process.folder {folder} cannot be used: {why}",
        hint="set compute.process.folder to a folder that the worker may read and write",
    )
