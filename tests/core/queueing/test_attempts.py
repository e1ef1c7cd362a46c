import asyncio

import pytest

from landlord_engines_core.errors import Held, InvalidJob, Queued, Superseded, Transient
from landlord_engines_core.queueing import Ended, Refused, Retry, growing_pause, run_attempt


async def attempt(error: BaseException | None = None) -> str:
    if error is not None:
        raise error
    return "done"


async def test_a_job_that_returns_has_ended() -> None:
    assert await run_attempt(attempt(), 1) == Ended("done")


async def test_an_invalid_job_has_ended_with_its_status() -> None:
    error = InvalidJob("no tenant", status=422)

    assert await run_attempt(attempt(error), 1) == Refused(status=422, reason=str(error))


@pytest.mark.parametrize(
    ("error", "pause"),
    [
        (Held("refused", retry_after=30), 30),
        (Transient("away"), 2),
        (Transient("busy", retry_after=7), 7),
        (Queued("no slot", retry_after=0), 0),
    ],
)
async def test_a_job_that_failed_is_due_again_after_a_pause(
    error: Held | Transient, pause: float
) -> None:
    assert await run_attempt(attempt(error), 3) == Retry(pause=pause, reason=str(error))


@pytest.mark.parametrize("error", [asyncio.CancelledError(), KeyError(), Superseded("younger")])
async def test_any_other_error_passes(error: BaseException) -> None:
    with pytest.raises(type(error)):
        await run_attempt(attempt(error), 1)


def test_pauses_grow_from_half_a_second_to_half_a_minute() -> None:
    pauses = [growing_pause(attempt) for attempt in (0, 1, 2, 3, 6, 7, 8, 10**9)]

    assert pauses == [0.5, 0.5, 1, 2, 16, 30, 30, 30]
