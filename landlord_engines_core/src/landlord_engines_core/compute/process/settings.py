"""The operator's settings in the section ``compute.process``.

The operator is the person who runs the worker. Tenants cannot change these settings.
"""

import os
from pathlib import Path

import attrs

from landlord_engines_core.compute.process.errors import error_name
from landlord_engines_core.errors import ComputeUnavailable, SettingsError
from landlord_engines_core.folders import state_folder

__all__ = ["Ports", "ProcessSettings", "check_folder"]

_ALL_ACCESS = os.R_OK | os.W_OK | os.X_OK


@attrs.frozen(kw_only=True)
class Ports:
    """The ports from which a free one is chosen, both ends included.

    The defaults lie below the ephemeral ports of Linux and macOS. No outgoing connection takes a port
    while its tenant is restarted.

    Attributes:
        first: The first port from which a free one is chosen.
        last: The last such port.
    """

    first: int = 20_000
    last: int = 29_999


def _default_folder() -> str:
    state = state_folder()
    return "" if state is None else str(state / "process")


@attrs.frozen(kw_only=True)
class ProcessSettings:
    """The operator's settings.

    Attributes:
        folder: The absolute path of the folder with the tenants' folders; landlord/process in the
            user's state folder by default.
        ports: The ports to choose from.
        output_limit: Bytes of output kept in each of a tenant's two files.
    """

    folder: str = attrs.field(factory=_default_folder)
    ports: Ports = Ports()
    output_limit: int = 1 << 20

    def check(self) -> None:
        """Check the folder's path and the numbers.

        Raises:
            SettingsError: With the path of the bad key.
        """
        if not self.folder:
            raise SettingsError(
                "compute.process.folder is not set, and this user has no home folder to keep tenants in",
                hint="set compute.process.folder, XDG_STATE_HOME or HOME",
            )
        problems = {
            "folder is not an absolute path": not Path(self.folder).is_absolute(),
            "ports is not a range within 1 to 65535": not (
                0 < self.ports.first <= self.ports.last < 1 << 16
            ),
            "output_limit is less than 1": self.output_limit < 1,
        }
        if faults := [
            f"compute.process.{problem}" for problem, is_met in problems.items() if is_met
        ]:
            raise SettingsError("; ".join(faults), hint="correct each setting in its source")


def check_folder(folder: Path) -> str:
    """Check that the folder, or its nearest existing parent, can be used. Create nothing.

    Returns:
        The result, for a person to read.

    Raises:
        ComputeUnavailable: Tenants cannot be kept there.
    """
    try:
        nearest = next(path for path in (folder, *folder.parents) if _exists(path))
    except OSError as error:
        raise _folder_error(folder, f"it cannot be inspected: {error_name(error)}") from None
    if not nearest.is_dir():
        raise _folder_error(folder, f"{nearest} is not a folder")
    if os.statvfs(nearest).f_flag & os.ST_RDONLY:
        raise _folder_error(folder, f"{nearest} is on a read-only file system")
    if not os.access(nearest, _ALL_ACCESS, effective_ids=os.access in os.supports_effective_ids):
        raise _folder_error(folder, f"permission denied on {nearest} for uid {os.geteuid()}")
    return f"folder {folder}" if nearest == folder else f"folder {folder}, not created yet"


def _exists(path: Path) -> bool:
    """Return whether a path exists; a dangling link does too."""
    try:
        path.lstat()
    except FileNotFoundError:
        return False
    except NotADirectoryError:
        # A parent is a file, which the caller checks next.
        return False
    return True


def _folder_error(folder: Path, reason: str) -> ComputeUnavailable:
    return ComputeUnavailable(
        f"compute.process.folder {folder} cannot be used: {reason}",
        hint="set compute.process.folder to a folder that the worker may read and write",
    )
