"""How long to wait before looking again at what tells nothing."""

import itertools
import time
from collections.abc import Iterator

__all__ = ["pauses"]


def pauses(within: float) -> Iterator[float]:
    """Pauses that grow from 10 to 250 ms, at least one, until this many seconds are over."""
    end = time.monotonic() + within
    for step in itertools.count():
        yield min(0.01 * 1.5 ** min(step, 8), 0.25)
        if time.monotonic() >= end:
            return
