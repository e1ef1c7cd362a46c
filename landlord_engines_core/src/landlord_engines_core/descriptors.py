"""Budget of open files: the limit, the share for connections, and a reserve."""

import errno
import os
import resource
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from typing import TypeVar

import attrs

__all__ = ["Reserve", "max_connections", "raise_limit", "read_limit"]

T = TypeVar("T")

UNLIMITED = 1 << 20
"""Number that stands for no limit."""

OPEN_MAX = 10_240
"""The highest limit that macOS accepts if its hard limit is infinite (sys/syslimits.h)."""

RESERVED = 64
"""Descriptors for everything but connections: streams, the loop, logs, plugins, the probes."""

PER_CONNECTION = 3
"""Descriptors for one connection: its socket, and two more for a target, Landlord or a child."""

MIN_CONNECTIONS = 8
"""Connections that are allowed however low the limit of open files is."""

NO_DESCRIPTOR = (errno.EMFILE, errno.ENFILE)


def read_limit() -> int:
    """Read how many files this process may have open at once."""
    soft, _ = resource.getrlimit(resource.RLIMIT_NOFILE)
    return UNLIMITED if soft == resource.RLIM_INFINITY else soft


def raise_limit() -> int:
    """Raise the soft limit of open files to the hard one, or as high as the system allows.

    Children inherit the limit.

    Returns:
        The new limit.
    """
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    for most in (hard, max(soft, OPEN_MAX)):
        with suppress(OSError, ValueError):
            resource.setrlimit(resource.RLIMIT_NOFILE, (most, hard))
            break
    return read_limit()


def max_connections(files: int) -> int:
    """Compute how many connections a server may accept at a limit of this many open files."""
    return max(MIN_CONNECTIONS, (files - RESERVED) // PER_CONNECTION)


@attrs.define(kw_only=True)
class Reserve:
    """Spare descriptors for calls that must succeed when all others are in use.

    Attributes:
        size: How many descriptors to keep.
    """

    size: int
    _kept: list[int] = attrs.field(factory=list, init=False)

    def __len__(self) -> int:
        return len(self._kept)

    def fill(self) -> None:
        """Replace used spares while there are free descriptors."""
        with suppress(OSError):
            while len(self._kept) < self.size:
                self._kept.append(os.open(os.devnull, os.O_RDONLY | os.O_CLOEXEC))

    def spend(self, act: Callable[[], T]) -> T:
        """Call ``act``, which opens a file, and give up spares until it gets a descriptor.

        Raises:
            OSError: ``act`` failed for another reason, or there is no spare left.
        """
        while True:
            try:
                return act()
            except OSError as error:
                if error.errno not in NO_DESCRIPTOR or not self._kept:
                    raise
            self._release()

    @contextmanager
    def lend(self) -> Iterator[None]:
        """Leave one descriptor free while the context is entered."""
        if self._kept:
            self._release()
        try:
            yield
        finally:
            self.fill()

    def close(self) -> None:
        """Close all spares."""
        while self._kept:
            self._release()

    def _release(self) -> None:
        os.close(self._kept.pop())
