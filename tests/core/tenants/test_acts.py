import asyncio

import pytest

from landlord_engines_core.tenants.acts import Acts


async def test_a_request_goes_on_to_its_end_when_its_step_is_cancelled() -> None:
    acts, go, landed = Acts(limit=5), asyncio.Event(), list[str]()

    async def request() -> None:
        await go.wait()
        landed.append("yes")

    step = asyncio.create_task(acts.do("t", request()))
    await asyncio.sleep(0)
    step.cancel()
    await asyncio.wait((step,))

    assert "t" in acts
    waiting = asyncio.create_task(acts.settled("t"))
    go.set()
    await waiting
    await acts.all_settled()
    assert landed == ["yes"]
    assert "t" not in acts


async def test_one_tenants_requests_are_counted_each() -> None:
    acts, first, second = Acts(limit=5), asyncio.Event(), asyncio.Event()
    steps = [asyncio.create_task(acts.do("t", event.wait())) for event in (first, second)]
    await asyncio.sleep(0)

    first.set()
    await asyncio.wait((steps[0],))
    assert "t" in acts
    second.set()

    await acts.all_settled()
    assert await asyncio.gather(*steps) == [True, True]


async def test_a_request_is_given_up_after_the_limit() -> None:
    acts = Acts(limit=0.01)

    with pytest.raises(TimeoutError):
        await acts.do("t", asyncio.Event().wait())

    await acts.settled("t")


async def test_the_failure_of_a_request_that_nobody_waits_for_is_not_reported() -> None:
    acts, go = Acts(limit=5), asyncio.Event()

    async def request() -> None:
        await go.wait()
        raise OSError

    step = asyncio.create_task(acts.do("t", request()))
    await asyncio.sleep(0)
    step.cancel()
    go.set()

    await acts.all_settled()
    assert step.cancelled()


async def test_a_request_that_is_cancelled_itself_is_over() -> None:
    acts = Acts(limit=5)
    step = asyncio.create_task(acts.do("t", asyncio.Event().wait()))
    for _ in range(3):
        await asyncio.sleep(0)

    (request,) = acts._under_way["t"]
    request.cancel()

    with pytest.raises(asyncio.CancelledError):
        await step
    await acts.settled("t")
