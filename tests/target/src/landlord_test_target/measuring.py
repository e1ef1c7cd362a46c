"""Coverage, switched off where a test reaches no line of its own.

Python 3.11 calls coverage for each line, and a new interpreter imports for twice as long.
"""

import multiprocessing.forkserver
import os
from collections.abc import Iterator
from contextlib import contextmanager

__all__ = ["is_measured", "stop_measuring", "unmeasured"]

_VARIABLE = "COVERAGE_PROCESS_CONFIG"
"""The variable with which coverage starts in a subprocess."""


def is_measured() -> bool:
    """Tell whether coverage measures this process, and those that it starts."""
    return _VARIABLE in os.environ


def stop_measuring() -> None:
    """Stop coverage in this process, and in those that it starts."""
    from coverage import Coverage

    if (measuring := Coverage.current()) is not None:
        measuring.stop()
    os.environ.pop(_VARIABLE, None)


@contextmanager
def unmeasured() -> Iterator[None]:
    """Stop coverage meanwhile, if it measures."""
    if not is_measured():
        yield
        return
    from coverage import Coverage

    measuring = Coverage.current()
    assert measuring is not None
    # It starts once, and forks for measured tests too.
    multiprocessing.forkserver.ensure_running()
    stop_measuring()
    try:
        yield
    finally:
        # It sets the variable.
        measuring.start()
