"""Finding and reading the settings file, each failure with the path and what names it."""

from collections.abc import Iterator, Mapping
from pathlib import Path
from stat import S_ISDIR

from landlord_engines_core.errors import SettingsError

__all__ = ["find_file", "read_file"]

_LANDLORDS = Path("/etc/landlord")
_NAMES = ("config.yaml", "config.json")
_OTHER_WAY = "name another file by --config or LANDLORD_CONFIG; /dev/null stands for none"


def find_file(config: Path | None, environment: Mapping[str, str]) -> Path | None:
    """Find the file that was named, or else the first in the places that Landlord looks in.

    What cannot be looked into is an error, and not the same as what is not there: a worker that
    passed over its settings in silence would run with others.

    Args:
        config: The file that ``--config`` names.
        environment: The environment's variables.

    Raises:
        SettingsError: The named file is missing; a file is a folder; a folder cannot be looked into.
    """
    if config is not None:
        return _named(config, "--config")
    if landlords := environment.get("LANDLORD_CONFIG"):
        return _named(Path(landlords), "LANDLORD_CONFIG")
    for folder, what in _folders(environment):
        for name in _NAMES:
            if _is_there(folder / name, what):
                return folder / name
    return None


def read_file(path: Path) -> bytes:
    """Read it whole.

    Raises:
        SettingsError: It cannot be read.
    """
    try:
        return path.read_bytes()
    except OSError as error:
        raise SettingsError(
            f"the settings file {path} cannot be read: {error.strerror}",
            hint=f"let this user read it, or {_OTHER_WAY}",
        ) from None


def _named(path: Path, setting: str) -> Path:
    if not _is_there(path, setting):
        raise SettingsError(
            f"the settings file {path} of {setting} does not exist", hint=f"check {setting}"
        )
    return path


def _folders(environment: Mapping[str, str]) -> Iterator[tuple[Path, str]]:
    yield Path(), "the working folder"
    yield _LANDLORDS, "Landlord's own folder"
    if home := environment.get("XDG_CONFIG_HOME"):
        yield Path(home) / "landlord", "XDG_CONFIG_HOME"


def _is_there(path: Path, where: str) -> bool:
    """Whether there is a file; a pipe or a device is one too.

    Raises:
        SettingsError: There is a folder, or this user may not know what there is.
    """
    try:
        mode = path.stat().st_mode
    except (FileNotFoundError, NotADirectoryError):
        return False
    except OSError as error:
        raise SettingsError(
            f"the settings file {path.absolute()} cannot be looked for ({where}): {error.strerror}",
            hint=f"let this user read {path.absolute().parent}, or {_OTHER_WAY}",
        ) from None
    if S_ISDIR(mode):
        raise SettingsError(
            f"the settings file {path.absolute()} is a folder ({where})",
            hint="a container engine makes a folder of a bind mount whose file is missing: remove"
            f" the folder and write the file, or {_OTHER_WAY}",
        )
    return True
