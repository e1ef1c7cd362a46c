"""Finding and reading the settings file. Errors name the path and its origin."""

from collections.abc import Iterator, Mapping
from pathlib import Path
from stat import S_ISDIR

from landlord_engines_core.errors import SettingsError

__all__ = ["find_file", "read_file"]

_LANDLORD_FOLDER = Path("/etc/landlord")
_NAMES = ("config.yaml", "config.json")
_ALTERNATIVE_HINT = "set --config or LANDLORD_CONFIG to another file, or to /dev/null for none"


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
    if named := environment.get("LANDLORD_CONFIG"):
        return _require(Path(named), "LANDLORD_CONFIG")
    for folder, origin in _folders(environment):
        for file_name in _NAMES:
            if _exists(folder / file_name, origin):
                return folder / file_name
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
            hint=f"let this user read it, or {_ALTERNATIVE_HINT}",
        ) from None


def _require(path: Path, setting: str) -> Path:
    if not _exists(path, setting):
        raise SettingsError(
            f"the settings file {path} of {setting} does not exist", hint=f"check {setting}"
        )
    return path


def _folders(environment: Mapping[str, str]) -> Iterator[tuple[Path, str]]:
    yield Path(), "the working folder"
    yield _LANDLORD_FOLDER, "Landlord's folder"
    if home := environment.get("XDG_CONFIG_HOME"):
        yield Path(home) / "landlord", "XDG_CONFIG_HOME"


def _exists(path: Path, origin: str) -> bool:
    """Whether the path is a file, a pipe or a device.

    Raises:
        SettingsError: The path is a folder, or this user may not search its folder.
    """
    try:
        mode = path.stat().st_mode
    except (FileNotFoundError, NotADirectoryError):
        return False
    except OSError as error:
        # Do not treat this as missing: the worker would silently run with other settings.
        raise SettingsError(
            f"the settings file {path.absolute()} cannot be searched for ({origin}): {error.strerror}",
            hint=f"let this user search {path.absolute().parent} and the folders above it (execute"
            f" permission), or {_ALTERNATIVE_HINT}",
        ) from None
    if S_ISDIR(mode):
        raise SettingsError(
            f"the settings file {path.absolute()} is a folder ({origin})",
            hint="remove the folder and write the file; Docker creates a folder for a bind mount whose"
            f" file is missing. Or {_ALTERNATIVE_HINT}",
        )
    return True
