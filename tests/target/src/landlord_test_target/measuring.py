"""Coverage, switched off for tests that reach only lines that other tests reach too.

On Python 3.11, coverage doubles the import time of a new interpreter.
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
    """Stop coverage in this process until it ends, and in the processes that it starts."""
    if (measuring := _current()) is not None:
        measuring.stop()
        # At exit, coverage would write the lines that the fork server had reached.
        atexit.unregister(measuring._atexit)
        os.environ.pop(_VARIABLE, None)


@contextmanager
def unmeasured() -> Iterator[None]:
    """Stop coverage until the context ends, if coverage measures this process."""
    if (measuring := _current()) is None:
        yield
        return
    # The fork server starts once, so start it measured: it also forks for measured tests.
    multiprocessing.forkserver.ensure_running()
    measuring.stop()
    del os.environ[_VARIABLE]
    try:
        yield
    finally:
        # `start` sets the variable again.
        measuring.start()


def _current() -> "Coverage | None":
    if not is_measured():
        return None
    from coverage import Coverage

    return Coverage.current()
