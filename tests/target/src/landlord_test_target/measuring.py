"""Coverage, switched off where a test reaches no line of its own.

Python 3.11 calls coverage for each line, and a new interpreter imports for twice as long.
"""

import atexit
import multiprocessing.forkserver
import os
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from coverage import Coverage

__all__ = ["is_measured", "stop_measuring", "unmeasured"]

_VARIABLE = "COVERAGE_PROCESS_CONFIG"
"""The variable with which coverage starts in a subprocess."""


def is_measured() -> bool:
    """Tell whether coverage measures this process, and those that it starts."""
    return _VARIABLE in os.environ


def stop_measuring() -> None:
    """Stop coverage in this process for good, and in those that it starts."""
    if (measuring := _current()) is not None:
        measuring.stop()
        # It would write what the fork server had reached.
        atexit.unregister(measuring._atexit)
        os.environ.pop(_VARIABLE, None)


@contextmanager
def unmeasured() -> Iterator[None]:
    """Stop coverage meanwhile, if it measures."""
    if (measuring := _current()) is None:
        yield
        return
    # It starts once, and forks for measured tests too.
    multiprocessing.forkserver.ensure_running()
    measuring.stop()
    del os.environ[_VARIABLE]
    try:
        yield
    finally:
        # It sets the variable.
        measuring.start()


def _current() -> "Coverage | None":
    if not is_measured():
        return None
    from coverage import Coverage

    return Coverage.current()
