"""The state of a process that only the host may change."""

import asyncio
import logging
import os
import signal
import threading
from collections.abc import Iterator, Mapping
from pathlib import Path

__all__ = ["list_changes", "read_state"]


def read_state() -> Mapping[str, object]:
    """Read what only the host may change in its process."""
    return {
        "signal handlers": [signal.getsignal(number) for number in sorted(signal.valid_signals())],
        "threads": sorted(thread.name for thread in threading.enumerate()),
        "environment variables": dict(os.environ),  # noqa: TID251  # compared, and not read
        "the working folder": str(Path.cwd()),
        "the root logger": (logging.root.level, list(map(repr, logging.root.handlers))),
        "the event loop's policy": type(asyncio.get_event_loop_policy()),
    }


def list_changes(before: Mapping[str, object]) -> Iterator[str]:
    """Name what differs from an earlier state."""
    now = read_state()
    return (name for name, value in before.items() if now[name] != value)
