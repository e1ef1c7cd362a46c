import asyncio
from collections.abc import Awaitable, Callable

import pytest

from landlord_engines_core.compute import (
    InFlightRequests,
    begin_observation,
    in_flight,
    send,
    switch,
)
from landlord_engines_core.errors import (
    ComputeDefect,
    ComputeUnavailable,
    ExecutionEnded,
    Superseded,
    Transient,
)


@pytest.fixture
def requests() -> InFlightRequests:
    return InFlightRequests(longest_carry=5.0)


async def confirm_job_is_alive() -> None:
    """Confirm that the job is alive, without an error."""


def confirm_that_raises(error: Exception) -> Callable[[], Awaitable[object]]:
    async def confirm_job() -> None:
        raise error

    return confirm_job


async def start_tasks(*coroutines: Awaitable[object]) -> list[asyncio.Task[object]]:
    tasks = [asyncio.ensure_future(coroutine) for coroutine in coroutines]
    for _ in range(5):
        await asyncio.sleep(0)
    return tasks


@pytest.fixture
def stale_inspections(monkeypatch: pytest.MonkeyPatch) -> None:
    """Make every inspection stale, as after a freeze of the whole machine."""
    monkeypatch.setattr(in_flight, "FRESH", -1.0)


async def test_a_cancelled_step_waits_for_its_request_in_flight(
    requests: InFlightRequests,
) -> None:
    answer, landed = asyncio.Event(), list[str]()

    async def request() -> None:
        await answer.wait()
        landed.append("yes")

    async def run_step() -> None:
        with requests.attribute_to("t", confirm_job_is_alive):
            await send(request)

    (running,) = await start_tasks(run_step())
    for _ in range(3):
        running.cancel()
        await asyncio.sleep(0)
    assert not running.done()
    assert "t" in requests

    waiting = asyncio.create_task(requests.wait_ended("t"))
    answer.set()

    await waiting
    await asyncio.wait((running,))
    assert running.cancelled()
    assert landed == ["yes"]
    await requests.wait_all_ended()
    assert "t" not in requests


async def test_the_sender_gets_the_result_or_the_error_of_a_request(
    requests: InFlightRequests,
) -> None:
    async def fail() -> None:
        raise ComputeUnavailable("away")

    with requests.attribute_to("t", confirm_job_is_alive):
        assert await send(lambda: asyncio.sleep(0, "made")) == "made"
        with pytest.raises(ComputeUnavailable):
            await send(fail)


async def test_a_request_that_calls_exit_does_not_end_the_event_loop(
    requests: InFlightRequests,
) -> None:
    async def request() -> None:
        raise SystemExit(0)

    with (
        requests.attribute_to("t", confirm_job_is_alive),
        pytest.raises(ComputeDefect, match="raised SystemExit in a request"),
    ):
        await send(request)


async def test_a_failure_of_a_request_of_a_cancelled_step_is_not_reported(
    requests: InFlightRequests,
) -> None:
    answer = asyncio.Event()

    async def fail() -> None:
        await answer.wait()
        raise OSError

    async def run_step() -> None:
        with requests.attribute_to("t", confirm_job_is_alive):
            await send(fail)

    (running,) = await start_tasks(run_step())
    running.cancel()
    answer.set()

    await asyncio.wait((running,))
    assert running.cancelled()


async def test_each_of_two_requests_of_one_tenant_is_counted(requests: InFlightRequests) -> None:
    first, second = asyncio.Event(), asyncio.Event()

    async def run_step(answer: asyncio.Event) -> None:
        with requests.attribute_to("t", confirm_job_is_alive):
            await send(answer.wait)

    running = await start_tasks(run_step(first), run_step(second))
    first.set()
    await asyncio.wait((running[0],))
    assert "t" in requests
    second.set()

    await requests.wait_all_ended()
    await asyncio.gather(*running)


async def test_a_request_in_flight_is_abandoned_after_the_longest_carry() -> None:
    requests = InFlightRequests(longest_carry=0.01)

    async def run_step() -> None:
        with requests.attribute_to("t", confirm_job_is_alive):
            await send(asyncio.Event().wait)

    (running,) = await start_tasks(run_step())
    running.cancel()

    await asyncio.wait((running,))
    assert running.cancelled()
    await requests.wait_ended("t")
    assert requests.given_up == 1


async def test_no_request_is_awaited_beyond_the_deadline_of_the_drain(
    requests: InFlightRequests,
) -> None:
    async def run_step() -> None:
        with requests.attribute_to("t", confirm_job_is_alive):
            await send(asyncio.Event().wait)

    (running,) = await start_tasks(run_step())
    running.cancel()
    requests.drain(asyncio.get_running_loop().time())

    await asyncio.wait((running,))
    assert running.cancelled()
    await requests.wait_all_ended()


async def test_a_cancelled_switch_puts_the_former_resource_back_into_service(
    requests: InFlightRequests,
) -> None:
    story, stopping, starting = list[str](), asyncio.Event(), asyncio.Event()

    async def stop_former() -> None:
        await stopping.wait()
        story.append("former stopped")

    async def start_former() -> None:
        await starting.wait()
        story.append("former started")

    async def forward() -> None:
        await send(stop_former)
        story.append("never reached")

    async def restore() -> None:
        await send(start_former)

    async def run_step() -> None:
        with requests.attribute_to("t", confirm_job_is_alive):
            await switch(forward, restore, longest=1.0)

    (running,) = await start_tasks(run_step())
    running.cancel()
    stopping.set()
    for _ in range(5):
        await asyncio.sleep(0)
    running.cancel()
    starting.set()

    await asyncio.wait((running,))
    assert running.cancelled()
    assert story == ["former stopped", "former started"]


async def test_a_failed_switch_is_not_rolled_back_automatically(requests: InFlightRequests) -> None:
    async def fail() -> None:
        raise ComputeUnavailable("away")

    async def restore() -> None:
        pytest.fail("nobody cancelled it")

    with requests.attribute_to("t", confirm_job_is_alive), pytest.raises(ComputeUnavailable):
        await switch(fail, restore, longest=1.0)


async def test_a_failed_rollback_is_left_to_the_next_attempt(
    requests: InFlightRequests,
) -> None:
    async def restore() -> None:
        raise ComputeUnavailable("away")

    async def run_step() -> None:
        with requests.attribute_to("t", confirm_job_is_alive):
            await switch(asyncio.Event().wait, restore, longest=1.0)

    (running,) = await start_tasks(run_step())
    running.cancel()

    await asyncio.wait((running,))
    assert running.cancelled()


async def test_a_draining_worker_starts_no_switch_that_may_outlast_the_drain(
    requests: InFlightRequests,
) -> None:
    requests.drain(asyncio.get_running_loop().time() + 10)

    async def forward() -> str:
        return "switched"

    with requests.attribute_to("t", confirm_job_is_alive):
        assert await switch(forward, confirm_job_is_alive, longest=5.0) == "switched"
        with pytest.raises(ComputeUnavailable, match="draining"):
            await switch(forward, confirm_job_is_alive, longest=15.0)


async def test_outside_of_a_step_requests_and_switches_run_unguarded() -> None:
    async def forward() -> str:
        return "switched"

    begin_observation()
    assert await send(lambda: asyncio.sleep(0, "made")) == "made"
    assert await switch(forward, confirm_job_is_alive, longest=1.0) == "switched"


async def test_after_a_fresh_inspection_the_backend_is_not_asked(
    requests: InFlightRequests,
) -> None:
    with requests.attribute_to("t", confirm_that_raises(Superseded("younger"))):
        assert await send(lambda: asyncio.sleep(0, "made")) == "made"


@pytest.mark.usefixtures("stale_inspections")
@pytest.mark.parametrize("error", [Superseded("younger"), ExecutionEnded("killed"), Transient("?")])
async def test_a_process_that_was_frozen_sends_nothing_for_a_job_that_may_have_ended(
    requests: InFlightRequests, error: Exception
) -> None:
    async def request() -> None:
        pytest.fail("it was sent")

    with requests.attribute_to("t", confirm_that_raises(error)), pytest.raises(type(error)):
        await send(request)


@pytest.mark.usefixtures("stale_inspections")
async def test_a_process_that_was_frozen_continues_a_job_that_is_alive(
    requests: InFlightRequests,
) -> None:
    with requests.attribute_to("t", confirm_job_is_alive):
        assert await send(lambda: asyncio.sleep(0, "made")) == "made"


@pytest.mark.parametrize("error", [ExecutionEnded("killed"), Transient("no answer")])
async def test_a_switch_continues_if_no_other_job_would_restore_the_service(
    requests: InFlightRequests, monkeypatch: pytest.MonkeyPatch, error: Exception
) -> None:
    async def forward() -> str:
        monkeypatch.setattr(in_flight, "FRESH", -1.0)
        return await send(lambda: asyncio.sleep(0, "started"))

    with requests.attribute_to("t", confirm_that_raises(error)):
        assert await switch(forward, confirm_job_is_alive, longest=1.0) == "started"


async def test_a_younger_job_ends_a_switch_without_a_rollback(
    requests: InFlightRequests, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def forward() -> str:
        monkeypatch.setattr(in_flight, "FRESH", -1.0)
        return await send(lambda: asyncio.sleep(0, "started"))

    async def restore() -> None:
        pytest.fail("the younger job sees to the tenant")

    with (
        requests.attribute_to("t", confirm_that_raises(Superseded("younger"))),
        pytest.raises(Superseded),
    ):
        await switch(forward, restore, longest=1.0)


async def test_successive_inspections_keep_a_step_fresh(
    requests: InFlightRequests, monkeypatch: pytest.MonkeyPatch
) -> None:
    with requests.attribute_to("t", confirm_that_raises(Superseded("younger"))):
        monkeypatch.setattr(in_flight, "FRESH", 0.3)
        for _ in range(4):
            await asyncio.sleep(0.1)
            begin_observation()
        assert await send(lambda: asyncio.sleep(0, "made")) == "made"


async def test_an_inspection_after_a_freeze_does_not_count_as_fresh(
    requests: InFlightRequests, monkeypatch: pytest.MonkeyPatch
) -> None:
    with requests.attribute_to("t", confirm_that_raises(Superseded("younger"))):
        monkeypatch.setattr(in_flight, "FRESH", 0.05)
        await asyncio.sleep(0.1)
        begin_observation()
        with pytest.raises(Superseded):
            await send(lambda: asyncio.sleep(0, "made"))
