"""The example carries tenants and jobs through kills and drains, with real workers."""

import sqlite3
from collections.abc import AsyncIterator
from contextlib import closing
from pathlib import Path
from uuid import uuid4

import aiohttp
import pytest
import pytest_asyncio

from landlord_engines_core.compute import ComputeRegistry
from landlord_engines_core.devserver import Intervals, landlord_in_memory
from landlord_engines_core.devserver.records import State
from landlord_engines_core.models import PolledExecution, PolledState
from landlord_test_target.engine import TargetCompute
from landlord_test_target.in_memory import RecordingLogger
from landlord_test_target.landlord import ApiUser
from landlord_test_target.queue_harness import QueueHarness

QUICK = Intervals(reconcile=0.05, poll=0.05, retry=0.1, kill=0.05)


@pytest_asyncio.fixture
async def landlord(
    bench: QueueHarness, target_url: str, http: aiohttp.ClientSession
) -> AsyncIterator[ApiUser]:
    compute = ComputeRegistry({"target": TargetCompute("target", target_url)})
    async with landlord_in_memory(
        bench.dispatcher, compute=compute, logger=RecordingLogger(), intervals=QUICK
    ) as running:
        yield ApiUser(url=running.url, http=http)


@pytest.mark.usefixtures("no_restate")
async def test_a_tenant_is_created_updated_and_deleted_without_restate(
    bench: QueueHarness, landlord: ApiUser
) -> None:
    await bench.worker(landlord_api_url=landlord.url)

    tenant = await landlord.create("acme/with slash", version=1)
    await landlord.wait_fields(tenant, status="ready")
    assert (await bench.target.document(tenant))["version"] == 1

    await landlord.update(tenant, version=2)
    await landlord.wait_fields(tenant, status="ready")
    assert (await bench.target.document(tenant))["version"] == 2

    await landlord.archive(tenant)
    await landlord.wait_fields(tenant, status="archived")
    assert await bench.target.resources(tenant) == []

    await landlord.delete(tenant)
    await landlord.wait_removed(tenant)
    assert len(await bench.target.ledger(tenant, "create")) == 1


async def test_a_held_job_continues_with_a_corrected_configuration(
    bench: QueueHarness, landlord: ApiUser
) -> None:
    await bench.worker()
    tenant = await landlord.create("acme", version=1)
    await bench.target.set_fault(tenant, "create", refuse=-1)
    held = await landlord.wait_fields(tenant, workflow_sub_state="backing-off")

    await landlord.update(tenant, version=2)
    # The current attempt may have read version 1, and Landlord's change after a job's last
    # read waits for the resync. So the fault ends once a later attempt has reached the target.
    under_way = len(await bench.target.ledger(tenant, "create"))
    await bench.target.wait_called(tenant, "create", under_way + 2)
    await bench.target.set_fault(tenant, "create", refuse=0)
    await landlord.wait_fields(tenant, status="ready")

    assert held["workflow_retry_count"] >= 1
    assert (await bench.target.document(tenant))["version"] == 2


async def test_a_delete_stops_a_job_that_runs_and_leaves_nothing(
    bench: QueueHarness, landlord: ApiUser
) -> None:
    await bench.worker()
    tenant = await landlord.create("acme", version=1)
    await landlord.wait_fields(tenant, status="ready")
    await bench.target.set_fault(tenant, "update", fail=-1)
    await landlord.update(tenant, version=2)
    await bench.target.wait_called(tenant, "update")

    await landlord.delete(tenant)
    await landlord.wait_removed(tenant)

    # Without a stop, the update would be tried again and again, and the delete would wait for it.
    assert await bench.target.resources(tenant) == []


async def test_the_job_that_was_sent_last_wins(bench: QueueHarness) -> None:
    await bench.worker()
    tenant = str(uuid4())
    await bench.target.set_fault(tenant, "create", delay_before=0.5)
    older = await bench.send(tenant, State.REQUESTED, version=1)
    await bench.target.wait_called(tenant, "create")

    younger = await bench.send(tenant, State.REQUESTED, version=2)

    await bench.wait_state(younger, PolledState.SUCCEEDED)
    await bench.wait_state(older, PolledState.FAILED)
    assert (await bench.target.document(tenant))["version"] == 2


async def test_an_older_job_that_arrives_late_changes_nothing(bench: QueueHarness) -> None:
    tenant = str(uuid4())
    older = await bench.send(tenant, State.REQUESTED, version=13)
    younger = await bench.send(tenant, State.REQUESTED, version=2)

    await bench.worker()

    await bench.wait_state(younger, PolledState.SUCCEEDED)
    await bench.wait_state(older, PolledState.SUCCEEDED)
    assert (await bench.target.document(tenant))["version"] == 2


async def test_a_drain_lets_a_step_end_and_the_next_worker_continues(bench: QueueHarness) -> None:
    worker = await bench.worker()
    tenant, held = str(uuid4()), str(uuid4())
    await bench.target.set_fault(tenant, "create", delay_before=0.5)
    job = await bench.send(tenant, State.REQUESTED, version=1)
    waiting = await bench.send(held, State.REQUESTED, version=13)
    await bench.target.wait_called(tenant, "create")
    await bench.wait_state(waiting, PolledState.BACKING_OFF)

    code = await worker.terminate()

    assert code == 0
    await bench.wait_state(job, PolledState.SUCCEEDED)
    await bench.wait_state(waiting, PolledState.BACKING_OFF)
    younger = await bench.send(held, State.REQUESTED, version=2)
    await bench.worker()
    await bench.wait_state(younger, PolledState.SUCCEEDED)
    # The next worker goes on with it too, and it ends without work: a younger job had the lock.
    await bench.wait_state(waiting, PolledState.SUCCEEDED)


async def test_a_drain_that_takes_too_long_cancels_the_step_and_loses_nothing(
    bench: QueueHarness,
) -> None:
    worker = await bench.worker(drain_timeout="100ms")
    tenant = str(uuid4())
    await bench.target.set_fault(tenant, "create", delay_before=1)
    job = await bench.send(tenant, State.REQUESTED, version=1)
    await bench.target.wait_called(tenant, "create")

    await worker.terminate()
    await bench.worker()

    await bench.wait_state(job, PolledState.SUCCEEDED)
    assert len(await bench.target.resources(tenant)) == 1


async def test_a_request_to_a_failing_target_is_retried(bench: QueueHarness) -> None:
    await bench.worker()
    tenant = str(uuid4())
    await bench.target.set_fault(tenant, "create", fail=1)

    job = await bench.send(tenant, State.REQUESTED, version=1)

    assert (await bench.wait_state(job, PolledState.SUCCEEDED)).retry_count == 2


async def test_a_job_that_is_not_understood_fails_with_the_reason(bench: QueueHarness) -> None:
    await bench.worker()

    job = await bench.dispatcher.dispatch(b"{}")

    assert "names no tenant" in (await bench.wait_state(job, PolledState.FAILED)).error


async def test_a_configuration_that_cannot_be_read_holds_an_update_and_no_delete(
    bench: QueueHarness,
) -> None:
    await bench.worker()
    tenant = str(uuid4())
    job = await bench.send(tenant, State.REQUESTED, version=1)
    await bench.wait_state(job, PolledState.SUCCEEDED)
    deep = '{"k":' * 10_000 + "1" + "}" * 10_000

    def build_body(operation: str) -> bytes:
        fields = f'"tenant_uuid": "{tenant}", "operation": "{operation}"'
        return f'{{{fields}, "desired_config": {deep}}}'.encode()

    held = await bench.dispatcher.dispatch(build_body("update"))
    seen = await bench.wait_state(held, PolledState.BACKING_OFF)
    assert "$.desired_config is nested" in seen.error
    assert (await bench.target.document(tenant))["version"] == 1
    job = await bench.dispatcher.dispatch(build_body("delete"))
    await bench.wait_state(job, PolledState.SUCCEEDED)
    assert await bench.target.resources(tenant) == []


async def test_an_ended_job_stays_ended_and_an_unknown_job_is_not_found(
    bench: QueueHarness,
) -> None:
    job = await bench.dispatcher.dispatch(b"{}")
    assert await bench.dispatcher.poll(job) == PolledExecution(state=PolledState.PENDING)

    await bench.dispatcher.kill(job)
    await bench.worker()

    assert await bench.dispatcher.poll(job) == PolledExecution(state=PolledState.FAILED)
    assert await bench.dispatcher.poll("7") is None


async def test_a_file_that_cannot_be_created_ends_the_worker(
    bench: QueueHarness, tmp_path: Path
) -> None:
    worker = await bench.worker()

    code, output = await worker.command(
        f"--set=workflow.sqlite.path={tmp_path}/missing/jobs.db", engine="sqlite"
    )

    assert code == 3
    assert "jobs.db cannot be opened" in output


@pytest.mark.usefixtures("no_restate")
async def test_restate_cannot_be_imported_where_these_workers_run(bench: QueueHarness) -> None:
    worker = await bench.worker()

    code, output = await worker.command(engine="restate")

    assert code == 2
    assert "not here" in output or "ImportError" in output


async def test_check_reports_that_the_engine_has_no_dry_run(bench: QueueHarness) -> None:
    worker = await bench.worker()

    code, output = await worker.command("check", engine="sqlite")

    assert code == 0, output
    assert "registration: not checked, the engine has no dry run" in output


async def test_another_worker_takes_the_jobs_of_a_killed_one(bench: QueueHarness) -> None:
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


async def test_a_resync_repairs_a_tenant_some_time_after_its_job(bench: QueueHarness) -> None:
    await bench.worker(resync_after="300ms")
    tenant = str(uuid4())

    job = await bench.send(tenant, State.REQUESTED, version=1)

    await bench.wait_state(job, PolledState.SUCCEEDED)
    # The resync is the file's second job.
    await bench.wait_state("2", PolledState.SUCCEEDED)


async def test_a_row_that_was_written_by_hand_is_a_job_too(bench: QueueHarness) -> None:
    await bench.worker()

    with closing(sqlite3.connect(bench.backend.settings["path"])) as database, database:
        database.execute("INSERT INTO jobs (body) VALUES ('{}')")

    await bench.wait_state("1", PolledState.FAILED)
