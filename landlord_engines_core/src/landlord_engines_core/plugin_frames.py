"""Finding the engine whose code a thread runs, by its stack."""

import sys
from collections.abc import Iterator, Mapping
from pathlib import Path
from types import FrameType

import attrs

__all__ = ["Engines", "Whereabouts", "find_owner", "find_whereabouts", "thread_whereabouts"]

Engines = Mapping[str, str]
"""Names of engines, such as ``worker engine restate``, by the module of their entry point."""

_CORE = "landlord_engines_core"


@attrs.frozen(kw_only=True)
class Whereabouts:
    """Engine and line of code that a thread runs.

    Attributes:
        engine: The name of the engine whose code the thread runs, or empty.
        location: File, line and function, without the folder.
    """

    engine: str
    location: str

    def __str__(self) -> str:
        return f"{self.engine or 'the worker'} at {self.location}"


def find_whereabouts(frame: FrameType | None, engines: Engines) -> Whereabouts:
    """Find the innermost frame of an engine, or else the innermost frame."""
    frames = list(_walk_outwards(frame))
    for candidate in frames:
        if engine := find_owner(str(candidate.f_globals.get("__name__", "")), engines):
            return Whereabouts(engine=engine, location=_location(candidate))
    return Whereabouts(
        engine="", location=_location(frames[0]) if frames else "an unknown location"
    )


def thread_whereabouts(ident: int, engines: Engines) -> Whereabouts:
    """Find the engine and the line of the thread with this identity."""
    return find_whereabouts(sys._current_frames().get(ident), engines)  # noqa: SLF001  # its documented name


def _walk_outwards(frame: FrameType | None) -> Iterator[FrameType]:
    while frame is not None:
        yield frame
        frame = frame.f_back


def find_owner(module: str, engines: Engines) -> str:
    """Find the engine to which a module belongs, or return an empty text.

    A module that several engines of one package may share names them all.
    """
    own = [
        target for target in engines if target != _package(target) and _is_inside(module, target)
    ]
    if own:
        return engines[max(own, key=len)]
    shared = (name for target, name in engines.items() if _is_inside(module, _package(target)))
    return " or ".join(dict.fromkeys(shared))


def _package(target: str) -> str:
    """Return the package that belongs to an engine. Built-in engines share core's with the host."""
    package = target.partition(".")[0]
    return target if package == _CORE else package


def _is_inside(module: str, package: str) -> bool:
    return module == package or module.startswith(f"{package}.")


def _location(frame: FrameType) -> str:
    code = frame.f_code
    return f"{Path(code.co_filename).name}:{frame.f_lineno} in {code.co_name}"
