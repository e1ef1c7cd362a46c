"""A worker frozen between its inspect and its request asks whether the job is alive before it sends."""

import asyncio
import signal
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from landlord_engines_core.compute import in_flight
from landlord_test_target.harness import Harness, Worker, wait_for


@asynccontextmanager
async def frozen_worker(harness: Harness, worker: Worker, tenant: str) -> AsyncIterator[str]:
    """Freeze a worker between its inspect and its create, for longer than an inspect counts as fresh.

    Yields:
        The job.
    """
    await harness.target.set_fault(tenant, "inspect", delay_after=0.5)
    job = await harness.send(tenant, "provision", version=1)
    await harness.target.wait_called(tenant, "inspect")
    worker.send_signal(signal.SIGSTOP)
    try:
        await harness.target.set_fault(tenant, "inspect")
        yield job
        # Only time makes the inspect stale.
        await asyncio.sleep(in_flight.FRESH + 1)
    finally:
        worker.send_signal(signal.SIGCONT)


async def test_a_worker_that_was_frozen_creates_nothing_for_a_killed_job(harness: Harness) -> None:
    worker, tenant = await harness.worker(), harness.tenant()

    async with frozen_worker(harness, worker, tenant) as job:
        await harness.dispatcher.kill(job)

    # Another job proves that the worker continues, and that it made nothing.
    await harness.run(harness.tenant(), "provision", version=1)
    assert await harness.target.ledger(tenant, "create") == []


async def test_a_worker_that_was_frozen_creates_nothing_after_a_delete_on_another_worker(
    harness: Harness,
) -> None:
    worker, tenant = await harness.worker(), harness.tenant()

    async with frozen_worker(harness, worker, tenant) as job:
        await harness.worker()
        await harness.dispatcher.kill(job)
        assert await harness.run(tenant, "delete", version=1) == "absent"

    assert await worker.terminate() == 0
    assert await harness.target.ledger(tenant, "create") == []
    assert await harness.target.resources(tenant) == []


async def test_a_worker_that_was_frozen_continues_a_job_that_is_alive(harness: Harness) -> None:
    worker, tenant = await harness.worker(), harness.tenant()

    async with frozen_worker(harness, worker, tenant) as job:
        pass

    answer = await harness.wait_done(job)
    assert answer["output"]["status"] == "created"
    assert len(await harness.target.ledger(tenant, "create")) == 1


async def test_a_younger_job_waits_at_most_half_a_minute_for_a_frozen_worker(
    harness: Harness,
) -> None:
    worker, tenant = await harness.worker(), harness.tenant()
    await harness.target.set_fault(tenant, "create", delay_before=1.0)
    job = await harness.send(tenant, "provision", version=1)
    await harness.target.wait_called(tenant, "create")
    worker.send_signal(signal.SIGSTOP)
    try:
        await harness.worker()
        younger = await harness.send(tenant, "update", version=2)
        await wait_for(lambda: harness.target.ledger(tenant, "update"), within=60)
        assert (await harness.wait_done(younger))["state"] == "succeeded"
    finally:
        worker.send_signal(signal.SIGCONT)

    row = await harness.wait_status(job, "completed")
    assert row["completion_failure"] == "[409] killed"
    assert (await harness.target.document(tenant))["version"] == 2
    assert await worker.terminate() == 0
    assert (await harness.target.document(tenant))["version"] == 2
