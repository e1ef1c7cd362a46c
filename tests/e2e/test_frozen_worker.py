"""A worker frozen between its inspect and its request asks whether the job is alive before it sends."""

import asyncio
import signal
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from landlord_engines_core.compute import in_flight
from landlord_test_target.harness import Worker, World, wait_for


@asynccontextmanager
async def frozen_worker(world: World, worker: Worker, tenant: str) -> AsyncIterator[str]:
    """Freeze a worker between its inspect and its create, for longer than an inspect counts as fresh.

    Yields:
        The job.
    """
    await world.target.set_fault(tenant, "inspect", delay_after=0.5)
    job = await world.send(tenant, "provision", version=1)
    await world.target.wait_called(tenant, "inspect")
    worker.send_signal(signal.SIGSTOP)
    try:
        await world.target.set_fault(tenant, "inspect")
        yield job
        # Only time makes the inspect stale.
        await asyncio.sleep(in_flight.FRESH + 1)
    finally:
        worker.send_signal(signal.SIGCONT)


async def test_a_worker_that_was_frozen_creates_nothing_for_a_killed_job(world: World) -> None:
    worker, tenant = await world.worker(), world.tenant()

    async with frozen_worker(world, worker, tenant) as job:
        await world.dispatcher.kill(job)

    # Another job proves that the worker continues, and that it made nothing.
    await world.run(world.tenant(), "provision", version=1)
    assert await world.target.ledger(tenant, "create") == []


async def test_a_worker_that_was_frozen_creates_nothing_after_a_delete_on_another_worker(
    world: World,
) -> None:
    worker, tenant = await world.worker(), world.tenant()

    async with frozen_worker(world, worker, tenant) as job:
        await world.worker()
        await world.dispatcher.kill(job)
        assert await world.run(tenant, "delete", version=1) == "absent"

    assert await worker.terminate() == 0
    assert await world.target.ledger(tenant, "create") == []
    assert await world.target.resources(tenant) == []


async def test_a_worker_that_was_frozen_continues_a_job_that_is_alive(world: World) -> None:
    worker, tenant = await world.worker(), world.tenant()

    async with frozen_worker(world, worker, tenant) as job:
        pass

    answer = await world.wait_done(job)
    assert answer["output"]["status"] == "created"
    assert len(await world.target.ledger(tenant, "create")) == 1


async def test_a_younger_job_waits_at_most_half_a_minute_for_a_frozen_worker(world: World) -> None:
    worker, tenant = await world.worker(), world.tenant()
    await world.target.set_fault(tenant, "create", delay_before=1.0)
    job = await world.send(tenant, "provision", version=1)
    await world.target.wait_called(tenant, "create")
    worker.send_signal(signal.SIGSTOP)
    try:
        await world.worker()
        younger = await world.send(tenant, "update", version=2)
        await wait_for(lambda: world.target.ledger(tenant, "update"), within=60)
        assert (await world.wait_done(younger))["state"] == "succeeded"
    finally:
        worker.send_signal(signal.SIGCONT)

    row = await world.wait_status(job, "completed")
    assert row["completion_failure"] == "[409] killed"
    assert (await world.target.document(tenant))["version"] == 2
    assert await worker.terminate() == 0
    assert (await world.target.document(tenant))["version"] == 2
