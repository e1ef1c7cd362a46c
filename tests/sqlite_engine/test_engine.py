"""The example engine completes jobs although workers are killed; the workers are real."""

import sqlite3
from contextlib import closing
from uuid import uuid4

from landlord_engines_core.devserver.records import State
from landlord_engines_core.models import PolledState
from landlord_test_target.direct_harness import DirectHarness


async def test_another_worker_takes_the_jobs_of_a_killed_one(bench: DirectHarness) -> None:
    killed = await bench.worker()
    tenant = str(uuid4())
    await bench.target.set_fault(tenant, "create", delay_after=30)
    job = await bench.send(tenant, State.REQUESTED, version=1)
    await bench.target.wait_called(tenant, "create")
    await bench.worker()

    await killed.kill()
    await bench.target.set_fault(tenant, "create")

    polled = await bench.wait_state(job, PolledState.SUCCEEDED)
    assert polled.retry_count == 2
    assert (await bench.target.document(tenant))["version"] == 1


async def test_a_resync_repairs_a_tenant_some_time_after_its_job(bench: DirectHarness) -> None:
    await bench.worker(resync_after="300ms")
    tenant = str(uuid4())

    job = await bench.send(tenant, State.REQUESTED, version=1)

    await bench.wait_state(job, PolledState.SUCCEEDED)
    # The resync is the file's second job.
    await bench.wait_state("2", PolledState.SUCCEEDED)


async def test_a_row_that_was_written_by_hand_is_a_job_too(bench: DirectHarness) -> None:
    await bench.worker()

    with closing(sqlite3.connect(bench.backend.settings["path"])) as database, database:
        database.execute("INSERT INTO jobs (body) VALUES ('{}')")

    await bench.wait_state("1", PolledState.FAILED)
