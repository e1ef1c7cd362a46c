"""Finding the place in the code of an engine where an error was raised."""

import sys
import traceback
from collections.abc import Mapping
from functools import lru_cache

import attrs

from landlord_engines_core.catalog import GROUPS, read_catalog
from landlord_engines_core.plugin_frames import find_owner

__all__ = ["Origin", "find_origin"]


@attrs.frozen(kw_only=True)
class Origin:
    """Place in the code of an engine where an error was raised.

    Attributes:
        module: The module of the innermost frame of an engine, or else of the innermost frame.
        line: Its line; 0 without any frame.
        distribution: Name and version of the engine's distribution; empty outside of engines.
    """

    module: str = "an unknown module"
    line: int = 0
    distribution: str = ""

    def __str__(self) -> str:
        place = f"{self.module}:{self.line}" if self.line else self.module
        return f"{place} ({self.distribution})" if self.distribution else place


def find_origin(error: BaseException) -> Origin:
    """Find the innermost frame of an engine in the traceback of an error, or else its last frame."""
    frames = list(traceback.walk_tb(error.__traceback__))
    owners = _read_owners(tuple(sys.path))
    origins = [
        Origin(module=module, line=line, distribution=find_owner(module, owners))
        for frame, line in reversed(frames)
        for module in (str(frame.f_globals.get("__name__", "")),)
    ]
    return next((origin for origin in origins if origin.distribution), (*origins, Origin())[0])


@lru_cache(maxsize=4)
def _read_owners(path: tuple[str, ...]) -> Mapping[str, str]:
    """Read the distributions of the installed engines, by the modules of their entry points.

    Once for each ``sys.path``: to read all metadata takes milliseconds, in which no job runs.
    """
    _ = path
    return {
        engine.target.partition(":")[0]: f"{engine.distribution} {engine.version}"
        for engine in read_catalog().engines
        if engine.group in GROUPS
    }
