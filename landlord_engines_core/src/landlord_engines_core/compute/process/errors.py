"""Errors about a tenant's folder, with the path at fault and the command that helps.

Only a person can remove most of these obstacles. The delete is held, and continues by itself once they
are gone.
"""

import errno
import os
import shlex
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from landlord_engines_core.errors import ComputeRefused, ComputeUnavailable

__all__ = [
    "error_name",
    "mount_error",
    "ownership_error",
    "protection_error",
    "quote_path",
    "translate_errors",
]

_MAX_MOUNTS = 3
"""Maximum of mounts in one message."""

_CONTINUES = "the delete then goes on by itself"


@contextmanager
def translate_errors(folder: str) -> Iterator[None]:
    """Translate errors of the operating system about the tenants' folders.

    Raises:
        ComputeUnavailable: With the name of the error.
    """
    try:
        yield
    except OSError as error:
        # The error's own text may name a tenant's file.
        raise ComputeUnavailable(
            f"the folder of this tenant's state, in {folder}, cannot be used: {error_name(error)}",
            hint="set compute.process.folder to one that this user may write to",
        ) from None


def mount_error(*points: Path) -> ComputeRefused:
    """Return the error for mount points in a tenant's folder."""
    # The innermost one has to be unmounted first.
    names = [quote_path(point) for point in sorted(points, reverse=True)[:_MAX_MOUNTS]]
    more = f" and {len(points) - _MAX_MOUNTS} more" if len(points) > _MAX_MOUNTS else ""
    return ComputeRefused(
        f"the tenant's folder has something mounted at {', '.join(names)}{more}; "
        "a delete never reaches behind a mount",
        hint=f"run `umount {' '.join(names)}` as root; {_CONTINUES}",
    )


def ownership_error(path: Path, owner: int, error: OSError) -> ComputeRefused:
    """Return the error for a path that only its owner, or root, may remove."""
    return ComputeRefused(
        f"{quote_path(path)} in the tenant's folder cannot be removed: {error_name(error)}; "
        f"its owner is uid {owner}, and this worker runs as uid {os.geteuid()}",
        hint=f"remove {quote_path(path)} as root; {_CONTINUES}",
    )


def protection_error(path: Path) -> ComputeRefused:
    """Return the error for a path with a flag of chattr(1)."""
    return ComputeRefused(
        f"{quote_path(path)} in the tenant's folder is immutable or append-only, by chattr",
        hint=f"run `chattr -i -a {quote_path(path)}` as root; {_CONTINUES}",
    )


def quote_path(path: Path) -> str:
    """Return a path as a shell takes it, with unprintable characters escaped."""
    text = str(path)
    return shlex.quote(text) if text.isprintable() else ascii(text)


def error_name(error: OSError) -> str:
    """Return the symbolic name of an error of the operating system, for example ``EACCES``."""
    return errno.errorcode.get(error.errno or 0, type(error).__name__)
