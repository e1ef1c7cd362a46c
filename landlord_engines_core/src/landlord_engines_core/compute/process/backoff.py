"""How long to wait before looking again at what tells nothing."""

import time
from collections.abc import Iterator

__all__ = ["backoff_delays"]


def backoff_delays(within: float) -> Iterator[float]:
    """Pauses that grow from 10 to 250 ms, at least one, until this many seconds are over."""
    end = time.monotonic() + within
    pause = 0.01
    yield pause
    while time.monotonic() < end:
        pause = min(pause * 1.5, 0.25)
        yield pause
