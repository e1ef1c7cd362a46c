import logging
from collections.abc import Mapping

import pytest

from landlord_engines_core import log_repeats
from landlord_engines_core.log_repeats import OWN_LIMIT, Repeats


class Clock:
    now = 0.0

    def __call__(self) -> float:
        return self.now


def record(
    message: str | Mapping[str, object], *args: object, level: int = logging.ERROR
) -> logging.LogRecord:
    return logging.LogRecord("a", level, "", 0, message, args, None)


def test_a_librarys_failure_that_repeats_is_one_line_in_each_interval() -> None:
    clock = Clock()
    repeats = Repeats(clock=clock)

    passed = [repeats.filter(record("no descriptor for %s", number)) for number in range(1000)]
    clock.now = 10.0
    later = record("no descriptor for %s", 7)
    again = repeats.filter(later)

    assert sum(passed) == 1
    assert again
    expected = "no descriptor for 7 (and 999 times more since the last such line)"
    assert later.getMessage() == expected


def test_a_failure_that_did_not_repeat_is_logged_unchanged() -> None:
    clock = Clock()
    repeats = Repeats(clock=clock)
    repeats.filter(record("oh"))
    clock.now = 10.0
    later = record("oh")

    assert repeats.filter(later)
    assert later.getMessage() == "oh"


def test_our_lines_about_one_failure_are_limited_for_each_reason() -> None:
    clock = Clock()
    repeats = Repeats(clock=clock)

    def step_failed_record(reason: str, tenant: int = 0) -> logging.LogRecord:
        return record({"message": "step failed", "reason": reason, "tenant": tenant})

    passed = [
        repeats.filter(step_failed_record("away", number)) for number in range(OWN_LIMIT + 50)
    ]
    other = repeats.filter(step_failed_record("busy"))
    clock.now = 10.0
    later = step_failed_record("away")
    repeats.filter(later)

    assert sum(passed) == OWN_LIMIT
    assert other
    assert isinstance(later.msg, Mapping)
    assert later.msg["left_out"] == 50


def test_lines_below_a_warning_are_always_logged() -> None:
    repeats = Repeats(clock=Clock())

    assert all(repeats.filter(record("hello", level=logging.INFO)) for _ in range(1000))


def test_the_number_of_remembered_failures_is_limited(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(log_repeats, "MAX_KINDS", 2)
    repeats = Repeats(clock=Clock())

    assert all(repeats.filter(record(str(number))) for number in range(10))
    assert len(repeats._counts) <= 2
