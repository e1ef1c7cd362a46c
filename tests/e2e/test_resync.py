"""Some time after a job the worker compares the tenant with Landlord's answer, and repairs it.

tests/core/tenants/test_resync.py holds what a resync decides. These tests need Restate: delays,
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
from landlord_test_target.engine import TargetCompute
from landlord_test_target.harness import World, wait_for
from landlord_test_target.in_memory import RecordingLogger
from landlord_test_target.landlord import RUNNING, ApiUser
from landlord_test_target.tenant_api import Landlord

SOON = "2s"
"""Longer than a job takes on a busy machine: a resync that comes during its job puts itself off."""

ANY = ("scheduled", "pending", "ready", "running", "suspended", "backing-off", "completed")


@pytest.fixture
def landlord() -> Iterator[Landlord]:
    with HTTPServer() as server:
        yield Landlord(server)


async def wait_resyncs(world: World, *statuses: str, count: int = 1) -> list[Mapping[str, Any]]:
    """Wait until the last resync has one of these statuses, and return Restate's rows, oldest first.

    Those before it are over then, or have one of these statuses too. Scheduled resyncs are left out: a delete schedules its last one a good while later.
    """
    sql = (
        "SELECT id, status, completion_failure, completed_at FROM sys_invocation"
        f" WHERE target_service_name = '{world.service}Resync' ORDER BY created_at"
    )

    async def look() -> list[Mapping[str, Any]]:
        rows = [row for row in await world.admin.query(sql) if row["status"] != "scheduled"]
        fit = all(row["status"] in (*statuses, "completed") for row in rows)
        there = len(rows) >= count and fit and rows[-1]["status"] in statuses
        return rows if there else []

    return await wait_for(look)


async def wait_failed_resync(world: World) -> Mapping[str, Any]:
    """Wait for a resync that ended with a failure, and return Restate's row."""

    async def look() -> Mapping[str, Any] | None:
        rows = await wait_resyncs(world, *ANY)
        return next((row for row in rows if "completion_failure" in row), None)

    row = await wait_for(look)
    assert row is not None
    return row


async def wait_resynced(world: World, count: int = 1) -> list[str]:
    """Wait for all resyncs to end, and return the status of each."""
    rows = await wait_resyncs(world, "completed", count=count)
    return [await _status(world, str(row["id"])) for row in rows]


async def _status(world: World, execution_id: str) -> str:
    url = f"{world.restate.endpoint}/restate/invocation/{execution_id}/output"
    async with world.http.get(url) as response:
        answer = await response.json(content_type=None)
        status: str = answer["output"]["status"]
        return status


async def land_create(world: World, tenant: str, **document: object) -> None:
    """Create the resource behind the worker's back, as a late request does."""
    body = {
        "tenant": tenant,
        "engine": "target",
        "location": "main",
        "config_hash": "late",
        "key_hashes": {},
        "unhealthy": False,
        **document,
    }
    async with world.http.post(f"{world.target.url}/create", json=body) as response:
        assert response.status == 201


async def delete_resource(world: World, tenant: str) -> None:
    """Delete the resource behind the worker's back."""
    body = {"tenant": tenant, "engine": "target", "location": "main"}
    async with world.http.post(f"{world.target.url}/delete", json=body) as response:
        assert response.status == 200


@attrs.frozen(kw_only=True)
class Unseen:
    """A dispatcher that shows each job as running until Landlord may see its end."""

    inner: RestateDispatcher
    seen: asyncio.Event = attrs.field(factory=asyncio.Event)

    async def dispatch(self, body: bytes) -> str:
        return await self.inner.dispatch(body)

    async def poll(self, execution_id: str) -> PolledExecution | None:
        return await self.inner.poll(execution_id) if self.seen.is_set() else RUNNING

    async def kill(self, execution_id: str) -> None:
        await self.inner.kill(execution_id)


async def test_a_config_changed_between_a_jobs_end_and_landlords_poll_is_applied(
    world: World,
) -> None:
    dispatcher = Unseen(inner=world.dispatcher)
    target = TargetCompute("target", world.target.url)
    quick = Intervals(reconcile=0.05, poll=0.05, retry=0.1, kill=0.05)
    async with landlord_in_memory(
        dispatcher,
        compute=ComputeRegistry({"target": target}),
        logger=RecordingLogger(),
        intervals=quick,
        max_retries=1000,
    ) as running:
        await world.worker(api=running.url, resync_after="5s")
        user = ApiUser(url=running.url, http=world.http)
        tenant = await user.create("acme", compute_provider="target", version=1)
        await world.wait_ended(tenant, 1)

        answer = await user.update(tenant, compute_provider="target", version=2)
        dispatcher.seen.set()
        await user.wait_fields(tenant, status="ready")

        assert answer.status == 200
        assert (await world.target.document(tenant))["version"] == 1
        job, resync = await world.wait_ended(tenant, 2)
        assert (job["operation"], job["outcome"]) == ("provision", "created")
        assert (resync["operation"], resync["outcome"]) == ("resync", "updated")
        assert resync["changes"] == ["version changed"]
        assert (await world.target.document(tenant))["version"] == 2
    assert len(await wait_resyncs(world, "completed")) == 1


async def test_a_create_that_a_killed_worker_sent_before_the_delete_is_destroyed(
    world: World,
) -> None:
    first = await world.worker(resync_after="5s")
    tenant = world.tenant()
    await world.target.set_fault(tenant, "create", hold=1)
    await world.send(tenant, "provision", version=1)
    await world.target.wait_called(tenant, "create")
    await world.worker(resync_after="5s")
    await first.kill()

    assert await world.run(tenant, "delete", version=1) == "absent"
    await world.target.set_fault(tenant, "create")

    *_, delete, resync = await world.wait_ended(tenant, 2)
    assert (delete["operation"], resync["operation"]) == ("delete", "resync")
    assert resync["outcome"] == "deleted"
    assert await world.target.resources(tenant) == []
    assert len(await world.target.ledger(tenant, "create", "201")) == 1


@pytest.mark.parametrize("behind", ["deleted", "changed"])
async def test_drift_is_repaired(world: World, landlord: Landlord, behind: str) -> None:
    worker = await world.worker(api=landlord.url, resync_after=SOON)
    tenant = world.tenant()
    landlord.set_tenant(tenant, "ready", version=1)
    landlord.is_down = True
    await world.run(tenant, "provision", "target", version=1)
    await world.wait_ended(tenant, 1)
    await delete_resource(world, tenant)
    if behind == "changed":
        await land_create(world, tenant, version=7)
    landlord.is_down = False

    outcomes = await world.wait_outcomes(tenant, 2)

    assert outcomes == ["created", "created" if behind == "deleted" else "updated"]
    assert (await world.target.document(tenant))["version"] == 1
    status = await world.status(tenant)
    (location,) = status["placements"]
    assert location["resource_ids"] == {"id": str((await world.target.resources(tenant))[0]["id"])}
    assert (status["resync"], status["last"]["operation"]) == (None, "resync")
    (line,) = await worker.wait_logged("stable", operation="resync", tenant=tenant)
    assert line["execution_id"] == status["last"]["execution_id"]
    assert (line["level"], line["outcome"]) == ("info", outcomes[-1])


async def test_a_tenant_without_drift_is_left_alone_and_gets_no_history(
    world: World, landlord: Landlord
) -> None:
    await world.worker(api=landlord.url, resync_after=SOON)
    tenant = world.tenant()
    landlord.set_tenant(tenant, "ready", version=1)
    await world.run(tenant, "provision", "target", version=1)

    assert await wait_resynced(world) == ["unchanged"]

    assert len(await world.history(tenant)) == 1
    assert (await world.status(tenant))["resync"] is None


async def test_without_an_api_only_deleted_tenants_are_repaired(world: World) -> None:
    await world.worker(resync_after="3s")
    created, deleted = world.tenant(), world.tenant()
    await world.run(created, "provision", version=1)
    await world.run(deleted, "provision", version=1)
    await world.run(deleted, "delete", version=1)
    await delete_resource(world, created)
    await land_create(world, deleted)

    assert await world.wait_outcomes(deleted, 3) == ["created", "deleted", "deleted"]

    assert sorted(await wait_resynced(world, 3)) == ["deleted", "superseded", "unchanged"]
    for tenant in (created, deleted):
        assert await world.target.resources(tenant) == []


async def test_only_the_last_of_two_jobs_close_together_is_resynced(
    world: World, landlord: Landlord
) -> None:
    await world.worker(api=landlord.url, resync_after=SOON)
    tenant = world.tenant()
    landlord.set_tenant(tenant, "ready", version=2)
    landlord.is_down = True
    await world.run(tenant, "provision", "target", version=1)
    await world.run(tenant, "update", "target", version=2)
    await world.wait_ended(tenant, 2)
    await delete_resource(world, tenant)
    landlord.is_down = False

    assert await world.wait_outcomes(tenant, 3) == ["created", "updated", "created"]

    assert await wait_resynced(world, 2) == ["superseded", "created"]
    assert len(await world.target.ledger(tenant, "create")) == 2


async def test_a_resync_yields_to_a_job_that_acquired_the_lock_first(
    world: World, landlord: Landlord
) -> None:
    await world.worker(api=landlord.url, resync_after="2s")
    tenant = world.tenant()
    landlord.set_tenant(tenant, "ready", version=1)
    await world.run(tenant, "provision", "target", version=1)
    await delete_resource(world, tenant)
    landlord.may_answer.clear()
    landlord.requested_paths.clear()

    async def asked() -> bool:
        return bool(landlord.requested_paths)

    await wait_for(asked)
    await world.target.set_fault(tenant, "create", hold=1)
    job = await world.send(tenant, "provision", "target", version=1)
    await world.target.wait_called(tenant, "create", 2)
    landlord.may_answer.set()

    async def over() -> bool:
        return "completed" in [row["status"] for row in await wait_resyncs(world, *ANY)]

    await wait_for(over)
    await world.target.set_fault(tenant, "create")
    await world.wait_done(job)
    assert await wait_resynced(world, 2) == ["superseded", "unchanged"]
    assert len(await world.target.resources(tenant)) == 1


async def test_a_resync_that_waits_for_the_api_delays_no_job(
    world: World, landlord: Landlord
) -> None:
    await world.worker(api=landlord.url, resync_after=SOON)
    tenant = world.tenant()
    landlord.set_tenant(tenant, "ready", version=2)
    landlord.is_down = True
    await world.run(tenant, "provision", "target", version=1)
    await wait_resyncs(world, "backing-off")

    job = await world.send(tenant, "update", "target", version=2)
    answer = await world.wait_done(job)
    landlord.is_down = False

    assert (answer["state"], answer["output"]["status"]) == ("succeeded", "updated")
    assert await wait_resynced(world, 2) == ["superseded", "unchanged"]


async def test_a_job_preempts_a_resync_that_backs_off_within_a_second(
    world: World, landlord: Landlord
) -> None:
    await world.worker(api=landlord.url, resync_after=SOON)
    tenant = world.tenant()
    landlord.is_down = True
    await world.run(tenant, "provision", "target", version=1)
    await world.target.set_fault(tenant, "update", fail=-1)
    landlord.set_tenant(tenant, "ready", version=2)
    landlord.is_down = False
    await world.target.wait_called(tenant, "update")
    await wait_resyncs(world, "backing-off")

    job = await world.send(tenant, "update", "target", version=3)
    landlord.set_tenant(tenant, "ready", version=3)
    await world.wait_held(job, "in trouble")
    await world.target.set_fault(tenant, "update")
    answer = await world.wait_done(job)

    assert (answer["state"], answer["output"]["status"]) == ("succeeded", "updated")
    killed = await wait_failed_resync(world)
    assert killed["completion_failure"] == "[409] killed"
    gave_way, asked = killed["completed_at"], (await world.wait_row(job))["created_at"]
    assert datetime.fromisoformat(gave_way) - datetime.fromisoformat(asked) < timedelta(seconds=1)
    operations = [transition["operation"] for transition in await world.wait_ended(tenant, 2)]
    assert operations == ["provision", "update"]
    assert (await world.target.document(tenant))["version"] == 3


async def test_a_preempted_resync_finishes_its_request_first(
    world: World, landlord: Landlord
) -> None:
    await world.worker(api=landlord.url, resync_after=SOON)
    tenant = world.tenant()
    landlord.is_down = True
    await world.run(tenant, "provision", "target", version=1)
    await world.target.set_fault(tenant, "update", hold=1)
    landlord.set_tenant(tenant, "ready", version=2)
    landlord.is_down = False
    await world.target.wait_called(tenant, "update")

    job = await world.send(tenant, "update", "target", version=3)
    landlord.set_tenant(tenant, "ready", version=3)
    await world.wait_acquire_suspended()
    await world.target.set_fault(tenant, "update")
    answer = await world.wait_done(job)

    assert (answer["state"], answer["output"]["status"]) == ("succeeded", "updated")
    assert (await world.target.document(tenant))["version"] == 3
    assert (await wait_failed_resync(world))["completion_failure"] == "[409] cancelled"
    acts = await world.target.rows(tenant)
    updates = [act["outcome"] for act in acts if act["call"] == "update"]
    assert updates == ["asked", "200", "asked", "200"]


async def test_a_resync_continues_on_the_next_worker_after_a_kill(
    world: World, landlord: Landlord
) -> None:
    worker = await world.worker(api=landlord.url, resync_after=SOON)
    tenant = world.tenant()
    landlord.set_tenant(tenant, "ready", version=1)
    landlord.is_down = True
    await world.run(tenant, "provision", "target", version=1)
    await delete_resource(world, tenant)
    await world.target.set_fault(tenant, "create", hold=1)
    landlord.is_down = False
    await world.target.wait_called(tenant, "create", 2)

    await worker.kill()
    await world.restart(worker)
    await world.target.wait_called(tenant, "create", 3)
    await world.target.set_fault(tenant, "create")

    assert await world.wait_outcomes(tenant, 2) == ["created", "created"]
    assert len(await world.target.resources(tenant)) == 1


async def test_a_delay_of_zero_disables_resyncs(world: World, landlord: Landlord) -> None:
    await world.worker(api=landlord.url, resync_after="0")
    tenant = world.tenant()
    await world.run(tenant, "provision", "target", version=1)
    await world.wait_ended(tenant, 1)

    sql = f"SELECT id FROM sys_invocation WHERE target_service_name = '{world.service}Resync'"
    assert await world.admin.query(sql) == ()
