"""The job of a tenant that was dispatched last wins, in whatever order jobs arrive."""

import asyncio
from datetime import datetime, timedelta

import pytest

from landlord_engines_restate.lock.protocol import PATIENCE
from landlord_test_target.harness import Harness, wait_for


async def test_after_an_outage_twenty_tenants_end_with_the_newer_of_two_versions(
    harness: Harness,
) -> None:
    worker = await harness.worker()
    tenants = [harness.tenant() for _ in range(20)]
    await worker.kill()

    older = {name: await harness.send(name, "provision", version=1) for name in tenants}
    for job in older.values():
        # Restate's retry pauses are at their limit for the older jobs, so the newer ones arrive first.
        await _wait_attempts(harness, job, 6)
    newer = {name: await harness.send(name, "update", version=2) for name in tenants}
    await harness.restart(worker)

    for tenant in tenants:
        assert (await harness.wait_done(newer[tenant]))["state"] == "succeeded"
        await harness.wait_status(older[tenant], "completed")
    for tenant in tenants:
        assert (await harness.target.document(tenant))["version"] == 2


async def test_a_held_job_is_preempted_at_once(harness: Harness) -> None:
    await harness.worker()
    tenant = harness.tenant()
    await harness.run(tenant, "provision", version=1)
    held = await harness.send(tenant, "update", version=2, unhealthy=True)
    await harness.wait_held(held, "rolled back")

    newer = await harness.send(tenant, "update", version=3)
    assert (await harness.wait_done(newer))["output"]["status"] == "updated"

    row = await harness.wait_row(held)
    assert row["completion_failure"] == "[409] killed"
    preempted_at, newer_dispatched = (
        row["completed_at"],
        (await harness.wait_row(newer))["created_at"],
    )
    assert datetime.fromisoformat(preempted_at) - datetime.fromisoformat(
        newer_dispatched
    ) < timedelta(seconds=PATIENCE)


async def test_a_running_job_is_cancelled_after_its_step(harness: Harness) -> None:
    await harness.worker()
    tenant = harness.tenant()
    await harness.target.set_fault(tenant, "create", delay_before=1.0)
    older = await harness.send(tenant, "provision", version=1)
    await harness.target.wait_called(tenant, "create")

    assert await harness.run(tenant, "update", version=2) == "updated"

    assert (await harness.wait_row(older))["completion_failure"] == "[409] cancelled"
    assert (await harness.target.document(tenant))["version"] == 2
    first, second = await harness.wait_ended(tenant, 1)
    assert first["ended_at"] is None
    assert second["outcome"] == "updated"


async def test_an_older_job_that_arrives_later_is_superseded(harness: Harness) -> None:
    worker = await harness.worker()
    tenant = harness.tenant()
    await worker.kill()
    older = await harness.send(tenant, "provision", version=1)
    await _pause(harness, older)
    newer = await harness.send(tenant, "update", version=2)
    await harness.restart(worker)
    await harness.wait_done(newer)

    await _change_invocation(harness, older, "resume")

    answer = await harness.wait_done(older)
    assert (answer["state"], answer["output"]["status"]) == ("cancelled", "superseded")
    assert (await harness.target.document(tenant))["version"] == 2
    assert [transition["execution_id"] for transition in await harness.wait_ended(tenant, 1)] == [
        newer
    ]


async def test_the_next_job_acquires_the_lock_of_a_killed_one(harness: Harness) -> None:
    await harness.worker()
    tenant = harness.tenant()
    await harness.target.set_fault(tenant, "create", fail=-1)
    killed = await harness.send(tenant, "provision", version=1)
    await harness.wait_held(killed, "trouble")
    await harness.dispatcher.kill(killed)
    await harness.target.set_fault(tenant, "create", fail=0)

    assert await harness.run(tenant, "provision", version=2) == "created"


async def test_fifty_jobs_killed_at_once_leave_nothing_running(
    harness: Harness,
) -> None:
    await harness.worker(resync_after="0")
    tenants = [harness.tenant() for _ in range(50)]
    for tenant in tenants:
        await harness.target.set_fault(tenant, "create", fail=-1)
    jobs = [await harness.send(name, "provision", version=1) for name in tenants]
    await asyncio.gather(*(harness.wait_held(job, "trouble") for job in jobs))

    await asyncio.gather(*(harness.dispatcher.kill(job) for job in jobs))

    for job in jobs:
        row = await harness.wait_status(job, "completed")
        assert row["completion_failure"] == "[409] killed"
    sql = (
        "SELECT id FROM sys_invocation WHERE status <> 'completed'"
        f" AND target_service_name LIKE '{harness.service}%'"
    )

    async def is_nothing_open() -> bool:
        return not await harness.admin.query(sql)

    await wait_for(is_nothing_open)
    assert await harness.run(tenants[0], "delete", version=1) == "absent"


@pytest.mark.parametrize("delay", ["delay_before", "delay_after"])
async def test_a_killed_jobs_request_leaves_nothing_after_a_delete_on_the_same_worker(
    harness: Harness, delay: str
) -> None:
    await harness.worker()
    tenant = harness.tenant()
    await harness.target.set_fault(tenant, "create", **{delay: 3.0})
    killed = await harness.send(tenant, "provision", version=1)
    await harness.target.wait_called(tenant, "create")
    await harness.dispatcher.kill(killed)

    assert await harness.run(tenant, "delete", version=1) == "deleted"

    await _wait_created(harness, tenant)
    assert await harness.target.resources(tenant) == []


async def test_a_killed_jobs_request_leaves_nothing_after_a_delete_on_a_second_worker(
    harness: Harness,
) -> None:
    await harness.worker()
    tenant = harness.tenant()
    await harness.target.set_fault(tenant, "create", delay_after=3.0)
    killed = await harness.send(tenant, "provision", version=1)
    await harness.target.wait_called(tenant, "create")
    await harness.dispatcher.kill(killed)
    await harness.worker()

    assert await harness.run(tenant, "delete", version=1) == "deleted"

    await _wait_created(harness, tenant)
    assert await harness.target.resources(tenant) == []


async def test_many_jobs_of_one_tenant_end_with_the_last_and_one_resource(harness: Harness) -> None:
    await harness.worker()
    tenant = harness.tenant()

    jobs = [await harness.send(tenant, "update", version=number) for number in range(100, 120)]
    await asyncio.gather(*(harness.wait_status(job, "completed") for job in jobs))

    assert (await harness.target.document(tenant))["version"] == 119


async def _wait_attempts(harness: Harness, job: str, times: int) -> None:
    async def check() -> bool:
        return bool((await harness.wait_row(job)).get("retry_count", 0) >= times)

    await wait_for(check)


async def _pause(harness: Harness, job: str) -> None:
    """Pause a job, and repeat that while it runs: restate-server once lost an accepted pause."""

    async def check() -> bool:
        await harness.admin.pause(job)
        return bool((await harness.wait_row(job))["status"] == "paused")

    await wait_for(check)


async def _change_invocation(harness: Harness, job: str, change: str) -> None:
    """Cancel, kill, pause or resume an invocation, as an operator may."""
    url = f"{harness.restate.admin_endpoint}/invocations/{job}/{change}"
    async with harness.http.patch(url) as response:
        assert response.status < 300, await response.text()


async def _wait_created(harness: Harness, tenant: str) -> None:
    async def check() -> bool:
        return bool(await harness.target.ledger(tenant, "create", "201"))

    await wait_for(check)
