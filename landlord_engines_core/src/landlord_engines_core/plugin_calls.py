"""The error boundary inside which core calls the code of engines.

An engine may raise anything: an error of its own, SystemExit, or a cancellation that nobody asked for.
The boundary replaces all of these by an error that names the engine, the method, the line and the
distribution. It never repeats the text of the engine's error, which may hold values.
"""

import asyncio
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from time import monotonic

import attrs

from landlord_engines_core.errors import LandlordEnginesError
from landlord_engines_core.plugin_origins import find_origin

__all__ = ["ErrorBoundary", "ignore_time"]

Observe = Callable[[str, float], None]
"""Function that takes the name of a method and the seconds that a call of it took."""


def ignore_time(method: str, seconds: float) -> None:
    """Observe nothing: the default without metrics."""


@attrs.frozen(kw_only=True)
class ErrorBoundary:
    """The error boundary of one engine: a context for each call of the engine's code.

    Attributes:
        engine: The engine in words, such as ``worker engine restate``.
        failure: The class of the errors that replace those of the engine.
        allowed_errors: Errors that the engine may raise in addition to core's errors.
        observe: Gets the duration of each call.
    """

    engine: str
    failure: type[LandlordEnginesError]
    allowed_errors: tuple[type[BaseException], ...] = ()
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
        return isinstance(error, (LandlordEnginesError, GeneratorExit, *self.allowed_errors))

    def _translate(self, error: BaseException, method: str) -> LandlordEnginesError:
        origin = find_origin(error)
        authors = origin.distribution or f"the {self.engine}"
        return self.failure(
            f"{self.engine} raised {type(error).__name__} in {method} at {origin}",
            hint=f"report it to the authors of {authors}",
        )


def _is_asked_for() -> bool:
    """Return whether the current task was cancelled, so that core asked for the cancellation."""
    try:
        task = asyncio.current_task()
    except RuntimeError:
        return False
    return task is not None and task.cancelling() > 0
