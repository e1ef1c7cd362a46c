"""Finding and reading the settings file. Errors name the path and its origin."""

from collections.abc import Iterator, Mapping
from pathlib import Path
from stat import S_ISDIR

from landlord_engines_core.errors import SettingsError

__all__ = ["find_file", "read_file"]

_LANDLORDS = Path("/etc/landlord")
_NAMES = ("config.yaml", "config.json")
_OTHER_WAY = "set --config or LANDLORD_CONFIG to another file, or to /dev/null for none"


def find_file(config: Path | None, environment: Mapping[str, str]) -> Path | None:
    """Find the named file, or else the first one at the paths that Landlord searches.

    Args:
        config: The file that ``--config`` names.
        environment: The environment's variables.

    Raises:
        SettingsError: The named file is missing, a path is a folder, or a folder cannot be searched.
    """
    if config is not None:
        return _require(config, "--config")
    if landlords := environment.get("LANDLORD_CONFIG"):
        return _require(Path(landlords), "LANDLORD_CONFIG")
    for folder, what in _folders(environment):
        for name in _NAMES:
            if _exists(folder / name, what):
                return folder / name
    return None


def read_file(path: Path) -> bytes:
    """Read the file.

    Raises:
        SettingsError: The file cannot be read.
    """
    try:
        return path.read_bytes()
    except OSError as error:
        raise SettingsError(
            f"the settings file {path} cannot be read: {error.strerror}",
            hint=f"let this user read it, or {_OTHER_WAY}",
        ) from None


def _require(path: Path, setting: str) -> Path:
    if not _exists(path, setting):
        raise SettingsError(
            f"the settings file {path} of {setting} does not exist", hint=f"check {setting}"
        )
    return path


def _folders(environment: Mapping[str, str]) -> Iterator[tuple[Path, str]]:
    yield Path(), "the working folder"
    yield _LANDLORDS, "Landlord's own folder"
    if home := environment.get("XDG_CONFIG_HOME"):
        yield Path(home) / "landlord", "XDG_CONFIG_HOME"


def _exists(path: Path, where: str) -> bool:
    """Whether the path is a file, a pipe or a device.

    Raises:
        SettingsError: The path is a folder, or this user may not search its folder.
    """
    try:
        mode = path.stat().st_mode
    except (FileNotFoundError, NotADirectoryError):
        return False
    except OSError as error:
        # An error, and not the same as a missing file: the worker would run with other settings.
        raise SettingsError(
            f"the settings file {path.absolute()} cannot be searched for ({where}): {error.strerror}",
            hint=f"let this user read {path.absolute().parent}, or {_OTHER_WAY}",
        ) from None
    if S_ISDIR(mode):
        raise SettingsError(
            f"the settings file {path.absolute()} is a folder ({where})",
            hint="remove the folder and write the file; Docker creates a folder for a bind mount whose"
            f" file is missing. Or {_OTHER_WAY}",
        )
    return True
