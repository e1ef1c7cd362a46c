"""Threads that leave the process's signals to the main thread."""

import signal
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from threading import Thread

__all__ = ["leave_signals", "start_thread", "without_signals"]

_SIGNALS = (signal.SIGTERM, signal.SIGINT, signal.SIGHUP)


def leave_signals() -> None:
    """Have this thread receive no signal."""
    # Observed on Linux: while the main thread has yet to handle one signal, another thread receives
    # the next. Nothing wakes the main thread then, so that a blocked call hides the signal.
    signal.pthread_sigmask(signal.SIG_BLOCK, _SIGNALS)


@contextmanager
def without_signals() -> Iterator[None]:
    """Have the threads that a library starts in this context receive no signal."""
    # A thread has the mask of the thread that starts it. A signal that comes meanwhile is delivered
    # at the end.
    mask = signal.pthread_sigmask(signal.SIG_BLOCK, _SIGNALS)
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, mask)


def start_thread(name: str, work: Callable[[], object]) -> Thread:
    """Start a daemon thread that receives no signal."""

    def run() -> None:
        leave_signals()
        work()

    thread = Thread(target=run, name=name, daemon=True)
    thread.start()
    return thread
