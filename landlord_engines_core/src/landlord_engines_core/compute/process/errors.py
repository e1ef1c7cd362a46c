"""Errors about a tenant's folder, with the path at fault and the command that helps.

Mounts, foreign owners and flags of chattr(1) can block a delete, and mostly only a person can remove
them. Until then the delete is held, and the worker retries it.
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
"""Maximum number of mounts in one message."""

_PLAIN = frozenset(range(ord(" "), ord("~") + 1)) - frozenset(b"'\\")
"""Bytes that stand for themselves between ``$'`` and ``'``."""

_RETRIED = "the worker then retries the delete"


@contextmanager
def translate_errors(folder: str) -> Iterator[None]:
    """Translate errors of the operating system about the tenants' folders.

    Raises:
        ComputeUnavailable: With the name of the error.
    """
    try:
        yield
    except OSError as error:
        # The message of an OSError may name a tenant's file.
        raise ComputeUnavailable(
            f"this tenant's folder in {folder} cannot be used: {error_name(error)}",
            hint="check its permissions and the free space, or set compute.process.folder to another",
        ) from None


def mount_error(*points: Path) -> ComputeRefused:
    """Return the error for mount points in a tenant's folder."""
    # The innermost mount has to be unmounted first.
    names = [quote_path(point) for point in sorted(points, reverse=True)[:_MAX_MOUNTS]]
    more = f" and {len(points) - _MAX_MOUNTS} more" if len(points) > _MAX_MOUNTS else ""
    return ComputeRefused(
        f"the tenant's folder has something mounted at {', '.join(names)}{more}; "
        "a delete never removes data behind a mount",
        hint=f"run `umount {' '.join(names)}` as root; {_RETRIED}",
    )


def ownership_error(path: Path, owner: int, error: OSError) -> ComputeRefused:
    """Return the error for a path that only its owner, or root, may remove."""
    return ComputeRefused(
        f"{quote_path(path)} in the tenant's folder cannot be removed: {error_name(error)}; "
        f"its owner is uid {owner}, and this worker runs as uid {os.geteuid()}",
        hint=f"remove {quote_path(path)} as root; {_RETRIED}",
    )


def protection_error(path: Path) -> ComputeRefused:
    """Return the error for a path with a flag of chattr(1)."""
    return ComputeRefused(
        f"{quote_path(path)} in the tenant's folder is immutable or append-only, by chattr",
        hint=f"run `chattr -i -a {quote_path(path)}` as root; {_RETRIED}",
    )


def quote_path(path: Path) -> str:
    """Return a path quoted for bash, so that a command with it can be copied from a log."""
    text = str(path)
    if text.isprintable():
        return shlex.quote(text)
    plain = "".join(chr(byte) if byte in _PLAIN else f"\\x{byte:02x}" for byte in os.fsencode(path))
    return f"$'{plain}'"


def error_name(error: OSError) -> str:
    """Return the symbolic name of an error of the operating system, for example ``EACCES``."""
    return errno.errorcode.get(error.errno or 0, type(error).__name__)
