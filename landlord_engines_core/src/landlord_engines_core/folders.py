"""Folders of the user who runs this process: by XDG's rules on Linux, by the system's rules elsewhere."""

from collections.abc import Callable
from pathlib import Path

import platformdirs

__all__ = ["cache_folder", "home_folder", "state_folder"]


def home_folder() -> Path | None:
    """Find the user's home, which need not exist; ``None`` for a user without one."""
    return _find_absolute(Path.home)


def state_folder() -> Path | None:
    """Find the folder for state that outlives this process, by XDG_STATE_HOME and HOME.

    Returns:
        An absolute path, which need not exist; ``None`` if the user has no home folder.
    """
    return _find_absolute(lambda: platformdirs.user_state_path("landlord"))


def cache_folder() -> Path | None:
    """Find the folder for files that can be fetched again, by XDG_CACHE_HOME and HOME.

    Returns:
        An absolute path, which need not exist; ``None`` if the user has no home folder.
    """
    return _find_absolute(lambda: platformdirs.user_cache_path("landlord-engines"))


def _find_absolute(find: Callable[[], Path]) -> Path | None:
    try:
        path = find()
    except RuntimeError:
        return None
    # Older versions of platformdirs raise nothing, and return a path that begins with a tilde.
    return path if path.is_absolute() else None
