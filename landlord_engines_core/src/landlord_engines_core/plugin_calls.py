"""The door through which core calls the code of engines.

An engine may raise anything: an error of its own, SystemExit, or a cancellation that nobody asked for. The
door replaces all of these by an error that names the engine, the method, the line and the distribution. It
never repeats the text of the engine's error, which may hold values.
"""

import asyncio
import sys
import traceback
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from functools import lru_cache
from time import monotonic

import attrs

from landlord_engines_core.catalog import GROUPS, read_catalog
from landlord_engines_core.errors import LandlordEnginesError
from landlord_engines_core.plugin_frames import find_owner

__all__ = ["Door", "Origin", "find_origin", "ignore_time"]

Observe = Callable[[str, float], None]
"""Function that takes the name of a method and the seconds that a call of it took."""


def ignore_time(method: str, seconds: float) -> None:
    """Observe nothing: the default without metrics."""


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


@attrs.frozen(kw_only=True)
class Door:
    """The way into the code of one engine.

    Attributes:
        engine: The engine in words, such as ``worker engine restate``.
        failure: The class of the errors that replace those of the engine.
        passes: More errors than core's that the engine may raise.
        observe: Gets the duration of each call.
    """

    engine: str
    failure: type[LandlordEnginesError]
    passes: tuple[type[BaseException], ...] = ()
    observe: Observe = ignore_time

    @contextmanager
    def call(self, method: str) -> Iterator[None]:
        """Call a method of the engine in this context.

        Core's own errors and the cancellations that core asked for pass.

        Raises:
            LandlordEnginesError: Of the class ``failure``, in place of any other error.
        """
        began = monotonic()
        try:
            yield
        except BaseException as error:
            if self._may_pass(error):
                raise
            raise self._translate(error, method) from error
        finally:
            self.observe(method, monotonic() - began)

    @contextmanager
    def catch_exits(self, place: str) -> Iterator[None]:
        """Catch only the attempts to end the process, where the engine's other errors are its own.

        Raises:
            LandlordEnginesError: Of the class ``failure``, in place of SystemExit or KeyboardInterrupt.
        """
        try:
            yield
        except (SystemExit, KeyboardInterrupt) as error:
            raise self._translate(error, place) from error

    def _may_pass(self, error: BaseException) -> bool:
        if isinstance(error, asyncio.CancelledError):
            return _is_asked_for()
        # GeneratorExit ends a coroutine that nobody awaits any more.
        return isinstance(error, (LandlordEnginesError, GeneratorExit, *self.passes))

    def _translate(self, error: BaseException, method: str) -> LandlordEnginesError:
        origin = find_origin(error)
        authors = origin.distribution or f"the {self.engine}"
        return self.failure(
            f"{self.engine} raised {type(error).__name__} in {method} at {origin}",
            hint=f"report it to the authors of {authors}",
        )


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


def _is_asked_for() -> bool:
    """Return whether the current task was cancelled, so that core asked for the cancellation."""
    try:
        task = asyncio.current_task()
    except RuntimeError:
        return False
    return task is not None and task.cancelling() > 0


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
