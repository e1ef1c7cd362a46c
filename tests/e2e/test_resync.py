"""Some time after a job the worker compares the tenant with Landlord's answer, and repairs it.

tests/core/tenants/test_resync.py tests the decisions of a resync. These tests need Restate: delays,
preemption, kills and the history.
"""

import asyncio
from collections.abc import Iterator, Mapping
from datetime import datetime, timedelta
from typing import Any

import attrs
import pytest
from pytest_httpserver import HTTPServer

from landlord_engines_core.compute import ComputeRegistry
from landlord_engines_core.devserver import Intervals, landlord_in_memory
from landlord_engines_core.models import PolledExecution
from landlord_engines_restate.local.dispatcher import RestateDispatcher
from landlord_engines_restate.lock.protocol import PATIENCE
from landlord_test_target.engine import TargetCompute
from landlord_test_target.harness import Harness, wait_for
from landlord_test_target.in_memory import RecordingLogger
from landlord_test_target.landlord import RUNNING, ApiUser
from landlord_test_target.tenant_api import Landlord

SOON = "2s"
"""Longer than a job takes on a busy machine, because a resync that starts during its job is postponed."""

ANY = ("scheduled", "pending", "ready", "running", "suspended", "backing-off", "completed")


@pytest.fixture
def landlord() -> Iterator[Landlord]:
    with HTTPServer() as server:
        yield Landlord(server)


async def wait_resyncs(harness: Harness, *statuses: str, count: int = 1) -> list[Mapping[str, Any]]:
    """Wait until the last resync has one of these statuses, and return Restate's rows, oldest first.

    Each earlier resync has ended then, or has one of these statuses. Scheduled resyncs do not count,
    because the last one of a delete is scheduled much later.
    """
    sql = (
        "SELECT id, status, completion_failure, completed_at FROM sys_invocation"
        f" WHERE target_service_name = '{harness.service}Resync' ORDER BY created_at"
    )

    async def check() -> list[Mapping[str, Any]]:
        rows = [row for row in await harness.admin.query(sql) if row["status"] != "scheduled"]
        have_status = all(row["status"] in (*statuses, "completed") for row in rows)
        is_expected = len(rows) >= count and have_status and rows[-1]["status"] in statuses
        return rows if is_expected else []

    return await wait_for(check)


async def wait_failed_resync(harness: Harness) -> Mapping[str, Any]:
    """Wait for a resync that ended with a failure, and return Restate's row."""

    async def check() -> Mapping[str, Any] | None:
        rows = await wait_resyncs(harness, *ANY)
        return next((row for row in rows if "completion_failure" in row), None)

    row = await wait_for(check)
    assert row is not None
    return row


async def wait_resynced(harness: Harness, count: int = 1) -> list[str]:
    """Wait for all resyncs to end, and return the status of each."""
    rows = await wait_resyncs(harness, "completed", count=count)
    return [await _status(harness, str(row["id"])) for row in rows]


async def _status(harness: Harness, execution_id: str) -> str:
    url = f"{harness.restate.endpoint}/restate/invocation/{execution_id}/output"
    async with harness.http.get(url) as response:
        answer = await response.json(content_type=None)
        status: str = answer["output"]["status"]
        return status


async def create_without_worker(harness: Harness, tenant: str, **document: object) -> None:
    """Create the resource at the target without a worker, as a late request does."""
    body = {
        "tenant": tenant,
        "engine": "target",
        "location": "main",
        "config_hash": "late",
        "key_hashes": {},
        "unhealthy": False,
        **document,
    }
    async with harness.http.post(f"{harness.target.url}/create", json=body) as response:
        assert response.status == 201


async def delete_resource(harness: Harness, tenant: str) -> None:
    """Delete the resource at the target without a worker."""
    body = {"tenant": tenant, "engine": "target", "location": "main"}
    async with harness.http.post(f"{harness.target.url}/delete", json=body) as response:
        assert response.status == 200


@attrs.frozen(kw_only=True)
class HidingDispatcher:
    """A dispatcher that shows jobs as running until a test lets Landlord see their end."""

    inner: RestateDispatcher
    may_show_end: asyncio.Event = attrs.field(factory=asyncio.Event)

    async def dispatch(self, body: bytes) -> str:
        return await self.inner.dispatch(body)

    async def poll(self, execution_id: str) -> PolledExecution | None:
        return await self.inner.poll(execution_id) if self.may_show_end.is_set() else RUNNING

    async def kill(self, execution_id: str) -> None:
        await self.inner.kill(execution_id)


async def test_a_config_changed_between_a_jobs_end_and_landlords_poll_is_applied(
    harness: Harness,
) -> None:
    dispatcher = HidingDispatcher(inner=harness.dispatcher)
    target = TargetCompute("target", harness.target.url)
    quick = Intervals(reconcile=0.05, poll=0.05, retry=0.1, kill=0.05)
    async with landlord_in_memory(
        dispatcher,
        compute=ComputeRegistry({"target": target}),
        logger=RecordingLogger(),
        intervals=quick,
        max_retries=1000,
    ) as running:
        await harness.worker(api=running.url, resync_after="5s")
        user = ApiUser(url=running.url, http=harness.http)
        tenant = await user.create("acme", compute_provider="target", version=1)
        await harness.wait_ended(tenant, 1)

        answer = await user.update(tenant, compute_provider="target", version=2)
        dispatcher.may_show_end.set()
        await user.wait_fields(tenant, status="ready")

        assert answer.status == 200
        assert (await harness.target.document(tenant))["version"] == 1
        job, resync = await harness.wait_ended(tenant, 2)
        assert (job["operation"], job["outcome"]) == ("provision", "created")
        assert (resync["operation"], resync["outcome"]) == ("resync", "updated")
        assert resync["changes"] == ["version changed"]
        assert (await harness.target.document(tenant))["version"] == 2
    assert len(await wait_resyncs(harness, "completed")) == 1


async def test_a_create_that_a_killed_worker_sent_before_the_delete_is_destroyed(
    harness: Harness,
) -> None:
    first = await harness.worker(resync_after="5s")
    tenant = harness.tenant()
    await harness.target.set_fault(tenant, "create", hold=1)
    await harness.send(tenant, "provision", version=1)
    await harness.target.wait_called(tenant, "create")
    await harness.worker(resync_after="5s")
    await first.kill()

    assert await harness.run(tenant, "delete", version=1) == "absent"
    await harness.target.set_fault(tenant, "create")

    *_, delete, resync = await harness.wait_ended(tenant, 2)
    assert (delete["operation"], resync["operation"]) == ("delete", "resync")
    assert resync["outcome"] == "deleted"
    assert await harness.target.resources(tenant) == []
    assert len(await harness.target.ledger(tenant, "create", "201")) == 1


@pytest.mark.parametrize("drift", ["deleted", "changed"])
async def test_drift_is_repaired(harness: Harness, landlord: Landlord, drift: str) -> None:
    worker = await harness.worker(api=landlord.url, resync_after=SOON)
    tenant = harness.tenant()
    landlord.set_tenant(tenant, "ready", version=1)
    landlord.is_down = True
    await harness.run(tenant, "provision", "target", version=1)
    await harness.wait_ended(tenant, 1)
    await delete_resource(harness, tenant)
    if drift == "changed":
        await create_without_worker(harness, tenant, version=7)
    landlord.is_down = False

    outcomes = await harness.wait_outcomes(tenant, 2)

    assert outcomes == ["created", "created" if drift == "deleted" else "updated"]
    assert (await harness.target.document(tenant))["version"] == 1
    status = await harness.status(tenant)
    (location,) = status["placements"]
    assert location["resource_ids"] == {
        "id": str((await harness.target.resources(tenant))[0]["id"])
    }
    assert (status["resync"], status["last"]["operation"]) == (None, "resync")
    (line,) = await worker.wait_logged("stable", operation="resync", tenant=tenant)
    assert line["execution_id"] == status["last"]["execution_id"]
    assert (line["level"], line["outcome"]) == ("info", outcomes[-1])


async def test_a_tenant_without_drift_is_left_alone_and_gets_no_history(
    harness: Harness, landlord: Landlord
) -> None:
    await harness.worker(api=landlord.url, resync_after=SOON)
    tenant = harness.tenant()
    landlord.set_tenant(tenant, "ready", version=1)
    await harness.run(tenant, "provision", "target", version=1)

    assert await wait_resynced(harness) == ["unchanged"]

    assert len(await harness.history(tenant)) == 1
    assert (await harness.status(tenant))["resync"] is None


async def test_without_an_api_only_deleted_tenants_are_repaired(harness: Harness) -> None:
    await harness.worker(resync_after="3s")
    created, deleted = harness.tenant(), harness.tenant()
    await harness.run(created, "provision", version=1)
    await harness.run(deleted, "provision", version=1)
    await harness.run(deleted, "delete", version=1)
    await delete_resource(harness, created)
    await create_without_worker(harness, deleted)

    assert await harness.wait_outcomes(deleted, 3) == ["created", "deleted", "deleted"]

    assert sorted(await wait_resynced(harness, 3)) == ["deleted", "superseded", "unchanged"]
    for tenant in (created, deleted):
        assert await harness.target.resources(tenant) == []


async def test_only_the_last_of_two_jobs_close_together_is_resynced(
    harness: Harness, landlord: Landlord
) -> None:
    await harness.worker(api=landlord.url, resync_after=SOON)
    tenant = harness.tenant()
    landlord.set_tenant(tenant, "ready", version=2)
    landlord.is_down = True
    await harness.run(tenant, "provision", "target", version=1)
    await harness.run(tenant, "update", "target", version=2)
    await harness.wait_ended(tenant, 2)
    await delete_resource(harness, tenant)
    landlord.is_down = False

    assert await harness.wait_outcomes(tenant, 3) == ["created", "updated", "created"]

    assert await wait_resynced(harness, 2) == ["superseded", "created"]
    assert len(await harness.target.ledger(tenant, "create")) == 2


async def test_a_resync_yields_to_a_job_that_acquired_the_lock_first(
    harness: Harness, landlord: Landlord
) -> None:
    await harness.worker(api=landlord.url, resync_after="2s")
    tenant = harness.tenant()
    landlord.set_tenant(tenant, "ready", version=1)
    await harness.run(tenant, "provision", "target", version=1)
    await delete_resource(harness, tenant)
    landlord.may_answer.clear()
    landlord.requested_paths.clear()

    async def was_requested() -> bool:
        return bool(landlord.requested_paths)

    await wait_for(was_requested)
    await harness.target.set_fault(tenant, "create", hold=1)
    job = await harness.send(tenant, "provision", "target", version=1)
    await harness.target.wait_called(tenant, "create", 2)
    landlord.may_answer.set()

    async def has_completed() -> bool:
        return "completed" in [row["status"] for row in await wait_resyncs(harness, *ANY)]

    await wait_for(has_completed)
    await harness.target.set_fault(tenant, "create")
    await harness.wait_done(job)
    assert await wait_resynced(harness, 2) == ["superseded", "unchanged"]
    assert len(await harness.target.resources(tenant)) == 1


async def test_a_resync_that_waits_for_the_api_delays_no_job(
    harness: Harness, landlord: Landlord
) -> None:
    await harness.worker(api=landlord.url, resync_after=SOON)
    tenant = harness.tenant()
    landlord.set_tenant(tenant, "ready", version=2)
    landlord.is_down = True
    await harness.run(tenant, "provision", "target", version=1)
    await wait_resyncs(harness, "backing-off")

    job = await harness.send(tenant, "update", "target", version=2)
    answer = await harness.wait_done(job)
    landlord.is_down = False

    assert (answer["state"], answer["output"]["status"]) == ("succeeded", "updated")
    assert await wait_resynced(harness, 2) == ["superseded", "unchanged"]


async def test_a_job_preempts_a_resync_that_backs_off_at_once(
    harness: Harness, landlord: Landlord
) -> None:
    await harness.worker(api=landlord.url, resync_after=SOON)
    tenant = harness.tenant()
    landlord.is_down = True
    await harness.run(tenant, "provision", "target", version=1)
    await harness.target.set_fault(tenant, "update", fail=-1)
    landlord.set_tenant(tenant, "ready", version=2)
    landlord.is_down = False
    await harness.target.wait_called(tenant, "update")
    await wait_resyncs(harness, "backing-off")

    job = await harness.send(tenant, "update", "target", version=3)
    landlord.set_tenant(tenant, "ready", version=3)
    await harness.wait_held(job, "in trouble")
    await harness.target.set_fault(tenant, "update")
    answer = await harness.wait_done(job)

    assert (answer["state"], answer["output"]["status"]) == ("succeeded", "updated")
    killed = await wait_failed_resync(harness)
    assert killed["completion_failure"] == "[409] killed"
    preempted_at, was_requested = (
        killed["completed_at"],
        (await harness.wait_row(job))["created_at"],
    )
    assert datetime.fromisoformat(preempted_at) - datetime.fromisoformat(was_requested) < timedelta(
        seconds=PATIENCE
    )
    operations = [transition["operation"] for transition in await harness.wait_ended(tenant, 2)]
    assert operations == ["provision", "update"]
    assert (await harness.target.document(tenant))["version"] == 3


async def test_a_preempted_resync_finishes_its_request_first(
    harness: Harness, landlord: Landlord
) -> None:
    await harness.worker(api=landlord.url, resync_after=SOON)
    tenant = harness.tenant()
    landlord.is_down = True
    await harness.run(tenant, "provision", "target", version=1)
    await harness.target.set_fault(tenant, "update", hold=1)
    landlord.set_tenant(tenant, "ready", version=2)
    landlord.is_down = False
    await harness.target.wait_called(tenant, "update")

    job = await harness.send(tenant, "update", "target", version=3)
    landlord.set_tenant(tenant, "ready", version=3)
    await harness.wait_acquire_suspended()
    await harness.target.set_fault(tenant, "update")
    answer = await harness.wait_done(job)

    assert (answer["state"], answer["output"]["status"]) == ("succeeded", "updated")
    assert (await harness.target.document(tenant))["version"] == 3
    assert (await wait_failed_resync(harness))["completion_failure"] == "[409] cancelled"
    acts = await harness.target.rows(tenant)
    updates = [act["outcome"] for act in acts if act["call"] == "update"]
    assert updates == ["received", "200", "received", "200"]


async def test_a_resync_continues_on_the_next_worker_after_a_kill(
    harness: Harness, landlord: Landlord
) -> None:
    worker = await harness.worker(api=landlord.url, resync_after=SOON)
    tenant = harness.tenant()
    landlord.set_tenant(tenant, "ready", version=1)
    landlord.is_down = True
    await harness.run(tenant, "provision", "target", version=1)
    await delete_resource(harness, tenant)
    await harness.target.set_fault(tenant, "create", hold=1)
    landlord.is_down = False
    await harness.target.wait_called(tenant, "create", 2)

    await worker.kill()
    await harness.restart(worker)
    await harness.target.wait_called(tenant, "create", 3)
    await harness.target.set_fault(tenant, "create")

    assert await harness.wait_outcomes(tenant, 2) == ["created", "created"]
    assert len(await harness.target.resources(tenant)) == 1


async def test_a_delay_of_zero_disables_resyncs(harness: Harness, landlord: Landlord) -> None:
    await harness.worker(api=landlord.url, resync_after="0")
    tenant = harness.tenant()
    await harness.run(tenant, "provision", "target", version=1)
    await harness.wait_ended(tenant, 1)

    sql = f"SELECT id FROM sys_invocation WHERE target_service_name = '{harness.service}Resync'"
    assert await harness.admin.query(sql) == ()
