"""The folders of the user who runs this: XDG's on Linux, the system's own elsewhere."""

from collections.abc import Callable
from pathlib import Path

import platformdirs

__all__ = ["cache_folder", "home_folder", "state_folder"]


def home_folder() -> Path | None:
    """The user's home, which need not exist; ``None`` for a user without one."""
    return _known(Path.home)


def state_folder() -> Path | None:
    """Where state is kept that outlives this process, by XDG_STATE_HOME and HOME.

    Returns:
        An absolute path, which need not exist; ``None`` where the user has no home folder.
    """
    return _known(lambda: platformdirs.user_state_path("landlord"))


def cache_folder() -> Path | None:
    """Where things are kept that can be got again, by XDG_CACHE_HOME and HOME.

    Returns:
        An absolute path, which need not exist; ``None`` where the user has no home folder.
    """
    return _known(lambda: platformdirs.user_cache_path("landlord-engines"))


def _known(find: Callable[[], Path]) -> Path | None:
    try:
        path = find()
    except RuntimeError:
        return None
    # Older platformdirs raise nothing: without a home, the path begins with a tilde.
    return path if path.is_absolute() else None
