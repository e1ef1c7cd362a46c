import json
import logging
import os
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import pytest

from landlord_engines_core import streams
from landlord_engines_core.streams import LineWriter, write_error_line


@contextmanager
def pipe() -> Iterator[tuple[int, int]]:
    reader, writer = os.pipe()
    try:
        yield reader, writer
    finally:
        for descriptor in (reader, writer):
            with suppress(OSError):
                os.close(descriptor)


@contextmanager
def run_line_writer(
    descriptor: int, most: int = 10_000
) -> Iterator[tuple[logging.Logger, LineWriter]]:
    writer = LineWriter(descriptor, most=most)
    logger = logging.getLogger("tests.streams")
    logger.propagate = False
    logger.addHandler(writer)
    yield logger, writer
    logger.removeHandler(writer)
    writer.close()
    # The next test may reuse the descriptor's number and would get the remaining lines. A
    # thread that writes to a full pipe ends when the pipe is closed.
    writer._thread.join(2)


def fill(descriptor: int) -> None:
    os.set_blocking(descriptor, False)
    with suppress(BlockingIOError):
        while True:
            os.write(descriptor, b"x" * 4096)
    with suppress(BlockingIOError):
        while True:
            os.write(descriptor, b"x")


def drain(descriptor: int) -> bytes:
    os.set_blocking(descriptor, False)
    data = b""
    with suppress(BlockingIOError):
        while piece := os.read(descriptor, 1 << 16):
            data += piece
    return data


def test_lines_are_written_in_their_order() -> None:
    with pipe() as (reader, writer), run_line_writer(writer) as (logger, handler):
        for number in range(1000):
            logger.warning("%d", number)
        handler.flush(20)

        assert drain(reader).split() == [str(number).encode() for number in range(1000)]


@pytest.mark.parametrize("blocking", [True, False])
def test_a_full_pipe_blocks_nobody_and_dropped_lines_are_counted_and_reported(
    *,
    blocking: bool,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(streams, "AT_ONCE", 4)
    with pipe() as (reader, writer), run_line_writer(writer, most=10) as (logger, handler):
        fill(writer)
        os.set_blocking(writer, blocking)
        for number in range(1000):
            logger.warning("%d", number)
        handler.flush(0.01)
        dropped = handler.dropped
        rest = drain(reader)
        handler.flush(20)
        logger.warning("after")
        handler.flush(20)
        rest += drain(reader)

    assert 1000 - 10 - 256 - 1 <= dropped < 1000
    assert f"{dropped} log lines were dropped: standard error did not accept them" in rest.decode()
    assert rest.endswith(b"after\n")


def test_a_vanished_reader_is_no_error_and_its_lines_are_counted() -> None:
    with pipe() as (reader, writer), run_line_writer(writer) as (logger, handler):
        os.close(reader)
        logger.warning("hello")
        handler.flush(20)

        assert handler.dropped == 1


def test_a_line_that_cannot_be_formatted_does_not_end_the_writer(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(logging, "raiseExceptions", False)
    with pipe() as (reader, writer), run_line_writer(writer) as (logger, handler):
        logger.warning("%d", "no number")
        logger.warning("after")
        handler.flush(20)

        assert drain(reader) == b"after\n"


def test_a_closed_writer_ends_its_thread_after_the_lines_of_before() -> None:
    with pipe() as (reader, writer):
        handler = LineWriter(writer)
        handler.put("last")
        handler.close()
        handler._thread.join(20)

        assert drain(reader) == b"last\n"
        assert not handler._thread.is_alive()


def test_the_number_of_dropped_lines_is_reported_at_the_end(
    capfd: pytest.CaptureFixture[str],
) -> None:
    write_error_line("over")

    assert capfd.readouterr().err == "over\n"


CODE = """
import json, os, sys
from landlord_engines_core import streams
from landlord_engines_core.streams import open_standard_streams
open_standard_streams()
with open(os.devnull) as other:
    number = other.fileno()
print("lost", file=sys.stderr)
print("lost", flush=True)
with open({report!r}, "w") as report:
    json.dump([number, sys.stdout is None, sys.stderr is None], report)
"""


@pytest.mark.parametrize("closed", ["<&-", ">&-", "2>&-", "<&- >&- 2>&-", ""])
def test_a_closed_standard_stream_is_replaced_by_dev_null(closed: str, tmp_path: Path) -> None:
    report = tmp_path / "report"
    script = f'exec "$0" -c "$1" {closed}'
    subprocess.run(
        ["sh", "-c", script, sys.executable, CODE.format(report=str(report))],
        check=True,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )

    number, *missing = json.loads(report.read_text())

    assert number > 2
    assert missing == [False, False]
