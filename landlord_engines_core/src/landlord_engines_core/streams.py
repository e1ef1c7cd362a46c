"""Writing to standard error, which may be full or closed, without making any logger wait."""

import logging
import os
import select
import sys
from collections.abc import Sequence
from contextlib import suppress
from queue import Empty, SimpleQueue
from threading import Event

from landlord_engines_core.threads import start_thread

__all__ = ["LineWriter", "flush_log", "open_standard_streams", "write_error_line"]

MOST_LINES = 10_000
"""Lines in the queue; further lines are dropped."""

AT_ONCE = 256
"""Lines in one write."""

PATIENCE = 2.0
"""Seconds that a process waits for its last lines when it ends."""


def open_standard_streams() -> None:
    """Open the null device if a standard stream is closed."""
    # Without this, the next file or socket would get the stream's descriptor and its output.
    for number in range(3):
        try:
            os.fstat(number)
        except OSError:
            # os.open uses the lowest free number, which is this one.
            os.open(os.devnull, os.O_RDWR)
    if sys.stdout is None:
        sys.stdout = open(1, "w", closefd=False)  # noqa: SIM115  # open as long as the process
    if sys.stderr is None:
        sys.stderr = open(2, "w", closefd=False)  # noqa: SIM115  # as above


class LineWriter(logging.Handler):
    """Handler that writes log lines to a descriptor in a separate thread.

    Lines are dropped and counted if the queue is full or the descriptor fails. One line says how
    many, once the descriptor accepts lines again.
    """

    def __init__(self, descriptor: int, *, most: int = MOST_LINES) -> None:
        super().__init__()
        self._descriptor = descriptor
        self._most = most
        self._queue: SimpleQueue[bytes | Event | None] = SimpleQueue()
        self._overflowed = 0
        self._failed = 0
        self._reported = 0
        self._thread = start_thread("log", self._work)

    @property
    def dropped(self) -> int:
        """How many lines were dropped so far."""
        return self._overflowed + self._failed

    def emit(self, record: logging.LogRecord) -> None:
        """Queue a line."""
        try:
            line = self.format(record)
        except Exception:  # noqa: BLE001  # as in every handler, logging must not fail
            self.handleError(record)
            return
        if self._queue.qsize() >= self._most:
            self._overflowed += 1
            return
        self.put(line)

    def put(self, line: str) -> None:
        """Queue a line, even if the queue is full."""
        self._queue.put(f"{line}\n".encode(errors="backslashreplace"))

    def flush(self, within: float = PATIENCE) -> None:
        """Wait until all earlier lines are written, ``within`` seconds at most."""
        written = Event()
        self._queue.put(written)
        written.wait(within)

    def close(self) -> None:
        """Accept no more lines; the thread still writes the earlier ones."""
        self._queue.put(None)
        super().close()

    def _work(self) -> None:
        batch: Sequence[bytes | Event | None] = ()
        while None not in batch:
            batch = self._batch()
            self._write([item for item in batch if isinstance(item, bytes)])
            for item in batch:
                if isinstance(item, Event):
                    item.set()

    def _batch(self) -> Sequence[bytes | Event | None]:
        batch = [self._queue.get()]
        with suppress(Empty):
            while len(batch) < AT_ONCE:
                batch.append(self._queue.get_nowait())
        return batch

    def _write(self, lines: Sequence[bytes]) -> None:
        try:
            self._write_all(b"".join(lines))
            if (dropped := self.dropped) > self._reported:
                self._write_all(self._notice(dropped - self._reported))
                self._reported = dropped
        except (OSError, ValueError):
            self._failed += len(lines)

    def _write_all(self, data: bytes) -> None:
        while data:
            try:
                data = data[os.write(self._descriptor, data) :]
            except BlockingIOError:
                # Another process that shares the descriptor made it non-blocking.
                select.select([], [self._descriptor], [], 1.0)

    def _notice(self, count: int) -> bytes:
        record = logging.LogRecord(
            "landlord_engines",
            logging.WARNING,
            __file__,
            0,
            "%d log lines were dropped: standard error did not accept them",
            (count,),
            None,
        )
        return f"{self.format(record)}\n".encode(errors="backslashreplace")


def flush_log() -> None:
    """Wait a moment until all earlier log lines are written."""
    for handler in logging.getLogger().handlers:
        handler.flush()


def write_error_line(line: str) -> None:
    """Write one line to standard error, and wait for it no longer than `PATIENCE`."""
    writer = LineWriter(2)
    writer.put(line)
    writer.flush()
    writer.close()
