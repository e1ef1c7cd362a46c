"""The host's signals, sent to the test's own process."""

import asyncio
import math
import signal
import sys
import time
from collections.abc import Coroutine, Iterator
from contextlib import contextmanager
from threading import Event

import attrs
import pytest

from landlord_engines_core import signals as module
from landlord_engines_core.errors import EngineFailed
from landlord_engines_core.signals import Control, HostLoop, Signals, run_async, signals
from landlord_test_target.in_memory import RecordingLogger

ENGINES = {__name__: "worker engine test"}


@attrs.define(eq=False)
class RecordedExit:
    """Records the exit of the process in place of it."""

    codes: list[int] = attrs.field(factory=list)
    left: Event = attrs.field(factory=Event)

    def __call__(self, code: int) -> None:
        self.codes.append(code)
        self.left.set()


@pytest.fixture
def short_intervals(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "LAST_RESORT", 0.02)
    monkeypatch.setattr(module, "BEAT", 0.02)


@contextmanager
def build_handler(
    leaving: RecordedExit,
    *,
    drain_timeout: float | None = 0.0,
    longest_block: float = 60.0,
    logger: RecordingLogger | None = None,
) -> Iterator[Signals]:
    handling = Signals(
        control=Control(),
        engines=ENGINES,
        logger=logger or RecordingLogger(),
        drain_timeout=drain_timeout,
        longest_block=longest_block,
        leave=leaving,
    )
    handling.start()
    try:
        yield handling
    finally:
        handling.stop()


async def test_the_first_signal_stops_and_the_second_forces() -> None:
    with build_handler(RecordedExit(), drain_timeout=60) as handling:
        control = handling.control
        signal.raise_signal(signal.SIGHUP)
        await asyncio.wait_for(control.stop.wait(), 10)
        forced = control.force.is_set()
        signal.raise_signal(signal.SIGTERM)
        await asyncio.wait_for(control.force.wait(), 10)

    assert not forced


@pytest.mark.usefixtures("short_intervals")
async def test_a_drain_that_does_not_end_is_ended_with_3_and_a_line(
    capfd: pytest.CaptureFixture[str],
) -> None:
    leaving = RecordedExit()
    with build_handler(leaving):
        signal.raise_signal(signal.SIGTERM)
    # This blocks the event loop.
    assert leaving.left.wait(20)

    assert leaving.codes == [3]
    assert "LE301: the drain did not end; worker engine test at test_signals.py:" in (
        capfd.readouterr().err
    )


@pytest.mark.usefixtures("short_intervals")
@pytest.mark.parametrize("drain_timeout", [60.0, None])
async def test_a_second_signal_ends_the_process_though_the_loop_is_blocked(
    drain_timeout: float | None,
) -> None:
    leaving = RecordedExit()
    with build_handler(leaving, drain_timeout=drain_timeout):
        signal.raise_signal(signal.SIGTERM)
        signal.raise_signal(signal.SIGTERM)
        assert leaving.left.wait(20)

    assert leaving.codes == [1]


@pytest.mark.usefixtures("short_intervals")
async def test_a_running_loop_gives_other_tasks_time_after_a_signal() -> None:
    leaving = RecordedExit()
    with build_handler(leaving, drain_timeout=None) as handling:
        signal.raise_signal(signal.SIGTERM)
        signal.raise_signal(signal.SIGTERM)
        await asyncio.wait_for(handling.control.force.wait(), 10)
        async with asyncio.timeout(10):
            while handling._leaves_at < math.inf:
                await asyncio.sleep(0.01)

    assert leaving.codes == []


@pytest.mark.usefixtures("short_intervals")
async def test_a_blocked_loop_is_reported_once_with_the_blocking_code() -> None:
    logger = RecordingLogger()
    with build_handler(RecordedExit(), longest_block=0.1, logger=logger):
        until = time.monotonic() + 20
        while not logger.lines and time.monotonic() < until:
            time.sleep(0.01)
        time.sleep(0.1)

    ((level, event, values),) = logger.lines
    assert (level, event) == ("error", "the event loop is blocked")
    assert values["by"] == "worker engine test"
    assert str(values["location"]).startswith("test_signals.py:")


def run_until_failure(main: Coroutine[object, object, None]) -> str:
    """Run a coroutine on the host's own loop until it fails, and return the message."""
    with pytest.raises(EngineFailed) as caught:
        run_async(main)
    return caught.value.message


def test_add_signal_handler_keeps_the_handler_of_the_host() -> None:
    logger, mine = RecordingLogger(), list[str]()

    async def main() -> None:
        control = Control()
        with signals(control, logger, engines=ENGINES):
            loop = asyncio.get_running_loop()
            loop.add_signal_handler(signal.SIGUSR1, mine.append, "usr1")
            loop.add_signal_handler(signal.SIGTERM, mine.append, "term")
            removed = (
                loop.remove_signal_handler(signal.SIGTERM),
                loop.remove_signal_handler(signal.SIGUSR1),
            )
            signal.raise_signal(signal.SIGTERM)
            await asyncio.wait_for(control.stop.wait(), 10)
        assert removed == (False, True)

    message = run_until_failure(main())

    assert message.startswith("worker engine test at test_signals.py:")
    assert message.endswith("replaced the host's handler of SIGTERM")
    assert mine == []
    assert logger.events("error") == ["a signal of the host was taken"]


def test_a_replaced_handler_hides_no_signal_from_the_host() -> None:
    seen = list[int]()

    async def main() -> None:
        control = Control()
        with signals(control, RecordingLogger(), engines=ENGINES):
            signal.signal(signal.SIGTERM, lambda number, _: seen.append(number))
            signal.raise_signal(signal.SIGTERM)
            await asyncio.wait_for(control.stop.wait(), 10)

    assert (
        run_until_failure(main())
        == f"a handler of {__name__} replaced the host's handler of SIGTERM"
    )
    assert seen == [signal.SIGTERM]


@pytest.mark.usefixtures("short_intervals")
def test_an_ignored_signal_is_handled_by_the_host_again_soon() -> None:
    async def main() -> None:
        with signals(Control(), RecordingLogger(), engines=ENGINES):
            signal.signal(signal.SIGTERM, signal.SIG_IGN)
            async with asyncio.timeout(10):
                while signal.getsignal(signal.SIGTERM) is signal.SIG_IGN:
                    await asyncio.sleep(0.01)

    assert run_until_failure(main()).endswith("replaced the host's handler of SIGTERM")


def test_an_ignored_hangup_stays_ignored() -> None:
    before = signal.signal(signal.SIGHUP, signal.SIG_IGN)

    async def main() -> None:
        with signals(Control(), RecordingLogger(), engines={}):
            assert signal.getsignal(signal.SIGHUP) is signal.SIG_IGN

    try:
        run_async(main())
    finally:
        signal.signal(signal.SIGHUP, before)


def test_without_a_host_the_loop_behaves_like_any_other() -> None:
    async def main() -> None:
        loop = asyncio.get_running_loop()
        assert isinstance(loop, HostLoop)
        loop.add_signal_handler(signal.SIGUSR1, sys.exit)
        assert loop.remove_signal_handler(signal.SIGUSR1)

    run_async(main())
