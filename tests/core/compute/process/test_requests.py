import asyncio
import math
import threading
from itertools import islice

import pytest

from landlord_engines_core.compute import InFlightRequests
from landlord_engines_core.compute.process.requests import backoff_delays, send_work


async def confirm_job_is_alive() -> None:
    """Confirm that the job is alive, without an error."""


async def test_the_caller_gets_the_result_or_the_error_of_a_thread() -> None:
    assert await send_work(divmod, 7, 2) == (3, 1)
    with pytest.raises(ZeroDivisionError):
        await send_work(divmod, 7, 0)


async def test_a_cancelled_step_ends_once_the_work_of_its_thread_is_done() -> None:
    has_started, released, done = threading.Event(), threading.Event(), threading.Event()

    def work_until_released() -> None:
        has_started.set()
        released.wait(30)
        done.set()

    async def run_step() -> None:
        with InFlightRequests(longest_carry=30).attribute_to("t", confirm_job_is_alive):
            await send_work(work_until_released)

    caller = asyncio.ensure_future(run_step())
    await asyncio.to_thread(has_started.wait, 30)
    caller.cancel()
    await asyncio.wait((caller,), timeout=0.05)
    waits = not caller.done()
    released.set()

    with pytest.raises(asyncio.CancelledError):
        await caller
    assert waits
    assert done.is_set()


def test_pauses_grow_to_a_limit() -> None:
    delays = list(islice(backoff_delays(math.inf), 20))

    assert delays == sorted(delays)
    assert delays[0] == 0.01
    assert delays[-1] == 0.25


def test_there_is_at_least_one_pause() -> None:
    assert list(backoff_delays(0)) == [0.01]
