"""Calls are repeated after growing pauses, within their limits."""

import operator
from collections.abc import Iterator

import attrs
import pytest

from landlord_engines_core.retries import poll, retry


@attrs.define
class Calls:
    """A call that has these results, one after the other, and counts how often it is made."""

    results: Iterator[object]
    count: int = 0

    async def __call__(self) -> object:
        self.count += 1
        result = next(self.results)
        if isinstance(result, Exception):
            raise result
        return result


def calls(*results: object) -> Calls:
    return Calls(iter(results))


async def test_a_call_is_repeated_until_its_result_is_decided() -> None:
    call = calls("", "", "done", "late")

    assert await poll(call, operator.not_, first=0.001, longest=0.001) == "done"
    assert call.count == 3


async def test_the_last_result_is_returned_when_the_time_or_the_tries_are_over() -> None:
    untimely, untried = calls(*[0] * 9), calls(*[0] * 9)

    assert await poll(untimely, operator.not_, first=0.001, longest=0.001, within=0) == 0
    assert await poll(untried, operator.not_, first=0.001, longest=0.001, tries=3) == 0
    assert (untimely.count, untried.count) == (1, 3)


async def test_a_call_that_raises_is_repeated_and_each_retry_is_reported() -> None:
    reports: list[tuple[object, int]] = []
    call = calls(KeyError("a"), KeyError("b"), "done")

    def note(error: KeyError, attempt: int, pause: float) -> None:
        assert 0 <= pause <= 0.002
        reports.append((error.args[0], attempt))

    assert await retry(call, KeyError, first=0.001, longest=0.002, report=note) == "done"
    assert reports == [("a", 1), ("b", 2)]


async def test_another_error_and_one_after_the_time_leave_the_retries() -> None:
    with pytest.raises(ValueError, match="other"):
        await retry(calls(KeyError(), ValueError("other")), KeyError, first=0.001, longest=0.001)
    with pytest.raises(KeyError):
        await retry(calls(KeyError(), "late"), KeyError, first=0.001, longest=0.001, within=0)
