"""SIGTERM: steps in flight end, the worker exits with 0, and every job ends on the next worker."""

import asyncio
import signal
from time import monotonic

from landlord_test_target.harness import World


async def test_sigterm_under_load_loses_no_step_and_no_job(world: World) -> None:
    worker = await world.worker()
    tenants = [world.tenant() for _ in range(10)]
    for tenant in tenants:
        await world.target.fault(tenant, "create", delay_before=2.0)
    jobs = [await world.send(tenant, "provision", version=1) for tenant in tenants]
    await asyncio.gather(*(world.target.asked(tenant, "create") for tenant in tenants))

    since = monotonic()
    assert await worker.terminate() == 0
    assert monotonic() - since < 10

    for tenant in tenants:
        assert len(await world.target.ledger(tenant, "create", "201")) == 1
    await world.again(worker)
    for job in jobs:
        assert (await world.done(job))["output"]["status"] == "created"
    for tenant in tenants:
        assert len(await world.target.ledger(tenant, "create")) == 1


async def test_sigterm_after_requests_were_served_ends_the_worker(world: World) -> None:
    worker = await world.worker()
    await world.run(world.tenant(), "provision", version=1)

    since = monotonic()
    assert await worker.terminate() == 0

    # With nothing to wait for it is quick; on a busy machine less so.
    assert monotonic() - since < 8


async def test_a_step_that_outlives_the_drain_is_named_and_ends_on_the_next_worker(
    world: World,
) -> None:
    worker = await world.worker(drain_timeout="500ms")
    tenant = world.tenant()
    await world.target.fault(tenant, "create", delay_before=4.0)
    job = await world.send(tenant, "provision", version=1)
    await world.target.asked(tenant, "create")

    assert await worker.terminate() == 0

    (cut,) = await worker.logged("step cancelled")
    assert (cut["step"], cut["tenant"]) == ("apply", tenant)
    await world.again(worker)
    await world.done(job)
    assert len(await world.target.resources(tenant)) == 1


async def test_a_second_signal_ends_the_worker_with_1(world: World) -> None:
    worker = await world.worker()
    tenant = world.tenant()
    await world.target.fault(tenant, "create", delay_before=4.0)
    await world.send(tenant, "provision", version=1)
    await world.target.asked(tenant, "create")

    worker.signal(signal.SIGTERM)
    await worker.logged("draining")
    worker.signal(signal.SIGINT)

    assert await worker.ended(3) == 1
