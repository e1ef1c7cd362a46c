"""What keeps a tenant's file from being removed, said with its path and the way out.

Only a person helps against any of it: the delete is held, and goes on by itself once it is gone.
"""

import errno
import os
import shlex
from pathlib import Path

from landlord_engines_core.compute.process.inode_flags import is_protected
from landlord_engines_core.compute.process.mount_points import mounts_below
from landlord_engines_core.errors import ComputeRefused

__all__ = ["mounted", "not_permitted", "refuse_mounts", "shown"]

_NAMED = 3
"""How many mounts are named; one message has a bound."""

_GOES_ON = "the delete then goes on by itself"


def shown(path: Path) -> str:
    """A path as a shell takes it; of odd names the characters that do not print are escaped."""
    text = str(path)
    return shlex.quote(text) if text.isprintable() else ascii(text)


def refuse_mounts(folder: Path) -> None:
    """Refuse to remove a folder in which something is mounted; nothing is touched.

    Raises:
        ComputeRefused: Naming the mounts.
    """
    if points := mounts_below(folder):
        raise mounted(*points)


def mounted(*points: Path) -> ComputeRefused:
    """These are mount points: deleting must not reach what lies behind them."""
    # The innermost one has to go first.
    names = [shown(point) for point in sorted(points, reverse=True)[:_NAMED]]
    more = f" and {len(points) - _NAMED} more" if len(points) > _NAMED else ""
    return ComputeRefused(
        f"the tenant's folder has something mounted at {', '.join(names)}{more}; "
        "a delete never reaches behind a mount",
        hint=f"run `umount {' '.join(names)}` as root; {_GOES_ON}",
    )


def not_permitted(parent: int, path: Path, error: OSError) -> ComputeRefused:
    """This user may not remove what has this path, in a folder that is open.

    Args:
        parent: The folder's descriptor.
        path: What is in the way.
        error: What the system said.
    """
    if is_protected(parent, path.name):
        return _protected(path)
    if is_protected(parent, "."):
        return _protected(path.parent)
    owner = os.stat(path.name, dir_fd=parent, follow_symlinks=False).st_uid
    return ComputeRefused(
        f"{shown(path)} in the tenant's folder cannot be removed: {_name_of(error)}; "
        f"its owner is uid {owner}, and this worker runs as uid {os.geteuid()}",
        hint=f"remove {shown(path)} as root; {_GOES_ON}",
    )


def _protected(path: Path) -> ComputeRefused:
    return ComputeRefused(
        f"{shown(path)} in the tenant's folder is immutable or append-only, by chattr",
        hint=f"run `chattr -i -a {shown(path)}` as root; {_GOES_ON}",
    )


def _name_of(error: OSError) -> str:
    return errno.errorcode.get(error.errno or 0, type(error).__name__)
