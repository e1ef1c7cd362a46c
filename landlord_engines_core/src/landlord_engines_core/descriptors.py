"""Open files as a budget: the limit, the share of it that connections get, and a reserve."""

import errno
import os
import resource
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from typing import TypeVar

import attrs

__all__ = ["Reserve", "limit", "most_connections", "raise_limit"]

T = TypeVar("T")

UNLIMITED = 1 << 20
"""What a limit counts as that is none."""

OPEN_MAX = 10_240
"""What macOS accepts at most where it calls the hard limit infinite (sys/syslimits.h)."""

RESERVED = 64
"""Descriptors that connections never get: streams, the loop, logs, plugins, the probes."""

PER_CONNECTION = 3
"""A call that is answered opens two more at most: to its target, to Landlord's API, to a child."""

FEWEST = 8
"""Connections at a limit that is below anything sensible."""

NO_DESCRIPTOR = (errno.EMFILE, errno.ENFILE)


def limit() -> int:
    """How many files this process may have open at once."""
    soft, _ = resource.getrlimit(resource.RLIMIT_NOFILE)
    return UNLIMITED if soft == resource.RLIM_INFINITY else soft


def raise_limit() -> int:
    """Raise this process's soft limit of open files to the hard one, or as far as the system lets it.

    Children inherit it.

    Returns:
        The limit that holds from now on.
    """
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    for most in (hard, max(soft, OPEN_MAX)):
        with suppress(OSError, ValueError):
            resource.setrlimit(resource.RLIMIT_NOFILE, (most, hard))
            break
    return limit()


def most_connections(files: int) -> int:
    """How many connections a server may accept at a limit of this many open files."""
    return max(FEWEST, (files - RESERVED) // PER_CONNECTION)


@attrs.define(kw_only=True)
class Reserve:
    """Descriptors that are kept back for what must go on when there are no others.

    Attributes:
        size: How many.
    """

    size: int
    _kept: list[int] = attrs.field(factory=list, init=False)

    def __len__(self) -> int:
        return len(self._kept)

    def fill(self) -> None:
        """Keep back what was spent, as far as there are descriptors."""
        with suppress(OSError):
            while len(self._kept) < self.size:
                self._kept.append(os.open(os.devnull, os.O_RDONLY | os.O_CLOEXEC))

    def spend(self, act: Callable[[], T]) -> T:
        """Do what opens a file; where there is no descriptor for it, it gets one of these.

        Raises:
            OSError: The act failed for another reason, or nothing is kept back any more.
        """
        while True:
            try:
                return act()
            except OSError as error:
                if error.errno not in NO_DESCRIPTOR or not self._kept:
                    raise
            self._release()

    @contextmanager
    def lent(self) -> Iterator[None]:
        """Have a descriptor free for a moment."""
        if self._kept:
            self._release()
        try:
            yield
        finally:
            self.fill()

    def close(self) -> None:
        """Keep nothing back any more."""
        while self._kept:
            self._release()

    def _release(self) -> None:
        os.close(self._kept.pop())
