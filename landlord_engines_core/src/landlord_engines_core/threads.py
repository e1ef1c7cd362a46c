"""Threads of the host, which leave its signals to the main thread."""

import signal
from collections.abc import Callable
from threading import Thread

__all__ = ["start_thread"]


def start_thread(name: str, work: Callable[[], object]) -> Thread:
    """Start a thread that nobody waits for at the end, and that takes no signal.

    Linux gives a signal to another thread where the main one has yet to take the one before. The
    main thread is not woken then, so that a blocked call hides the signal (observed).
    """

    def run() -> None:
        signal.pthread_sigmask(signal.SIG_BLOCK, (signal.SIGTERM, signal.SIGINT, signal.SIGHUP))
        work()

    thread = Thread(target=run, name=name, daemon=True)
    thread.start()
    return thread
