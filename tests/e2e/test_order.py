"""The job of a tenant that was dispatched last wins, in whatever order jobs arrive."""

import asyncio
from datetime import datetime, timedelta

import pytest

from landlord_test_target.harness import World, wait_for


async def test_after_an_outage_twenty_tenants_end_with_the_newer_of_two_versions(
    world: World,
) -> None:
    worker = await world.worker()
    tenants = [world.tenant() for _ in range(20)]
    await worker.kill()

    older = {name: await world.send(name, "provision", version=1) for name in tenants}
    for job in older.values():
        # Restate's retry pauses are at their limit for the older jobs, so the newer ones arrive first.
        await _tried(world, job, 6)
    newer = {name: await world.send(name, "update", version=2) for name in tenants}
    await world.restart(worker)

    for tenant in tenants:
        assert (await world.wait_done(newer[tenant]))["state"] == "succeeded"
        await world.wait_status(older[tenant], "completed")
    for tenant in tenants:
        assert (await world.target.document(tenant))["version"] == 2


async def test_a_held_job_is_preempted_within_a_second(world: World) -> None:
    await world.worker()
    tenant = world.tenant()
    await world.run(tenant, "provision", version=1)
    held = await world.send(tenant, "update", version=2, unhealthy=True)
    await world.wait_held(held, "rolled back")

    newer = await world.send(tenant, "update", version=3)
    assert (await world.wait_done(newer))["output"]["status"] == "updated"

    row = await world.wait_row(held)
    assert row["completion_failure"] == "[409] killed"
    gave_way, asked = row["completed_at"], (await world.wait_row(newer))["created_at"]
    assert datetime.fromisoformat(gave_way) - datetime.fromisoformat(asked) < timedelta(seconds=1)


async def test_a_running_job_is_cancelled_after_its_step(world: World) -> None:
    await world.worker()
    tenant = world.tenant()
    await world.target.set_fault(tenant, "create", delay_before=1.0)
    older = await world.send(tenant, "provision", version=1)
    await world.target.wait_called(tenant, "create")

    assert await world.run(tenant, "update", version=2) == "updated"

    assert (await world.wait_row(older))["completion_failure"] == "[409] cancelled"
    assert (await world.target.document(tenant))["version"] == 2
    first, second = await world.wait_ended(tenant, 1)
    assert first["ended_at"] is None
    assert second["outcome"] == "updated"


async def test_an_older_job_that_arrives_later_is_superseded(world: World) -> None:
    worker = await world.worker()
    tenant = world.tenant()
    await worker.kill()
    older = await world.send(tenant, "provision", version=1)
    await _pause(world, older)
    newer = await world.send(tenant, "update", version=2)
    await world.restart(worker)
    await world.wait_done(newer)

    await _change(world, older, "resume")

    answer = await world.wait_done(older)
    assert (answer["state"], answer["output"]["status"]) == ("cancelled", "superseded")
    assert (await world.target.document(tenant))["version"] == 2
    assert [transition["execution_id"] for transition in await world.wait_ended(tenant, 1)] == [
        newer
    ]


async def test_the_next_job_acquires_the_lock_of_a_killed_one(world: World) -> None:
    await world.worker()
    tenant = world.tenant()
    await world.target.set_fault(tenant, "create", fail=-1)
    killed = await world.send(tenant, "provision", version=1)
    await world.wait_held(killed, "trouble")
    await world.dispatcher.kill(killed)
    await world.target.set_fault(tenant, "create", fail=0)

    assert await world.run(tenant, "provision", version=2) == "created"


async def test_fifty_jobs_killed_at_once_leave_nothing_running(
    world: World,
) -> None:
    await world.worker(resync_after="0")
    tenants = [world.tenant() for _ in range(50)]
    for tenant in tenants:
        await world.target.set_fault(tenant, "create", fail=-1)
    jobs = [await world.send(name, "provision", version=1) for name in tenants]
    await asyncio.gather(*(world.wait_held(job, "trouble") for job in jobs))

    await asyncio.gather(*(world.dispatcher.kill(job) for job in jobs))

    for job in jobs:
        row = await world.wait_status(job, "completed")
        assert row["completion_failure"] == "[409] killed"
    sql = (
        "SELECT id FROM sys_invocation WHERE status <> 'completed'"
        f" AND target_service_name LIKE '{world.service}%'"
    )

    async def nothing() -> bool:
        return not await world.admin.query(sql)

    await wait_for(nothing)
    assert await world.run(tenants[0], "delete", version=1) == "absent"


@pytest.mark.parametrize("delay", ["delay_before", "delay_after"])
async def test_a_killed_jobs_request_leaves_nothing_after_a_delete_on_the_same_worker(
    world: World, delay: str
) -> None:
    await world.worker()
    tenant = world.tenant()
    await world.target.set_fault(tenant, "create", **{delay: 3.0})
    killed = await world.send(tenant, "provision", version=1)
    await world.target.wait_called(tenant, "create")
    await world.dispatcher.kill(killed)

    assert await world.run(tenant, "delete", version=1) == "deleted"

    await _has_landed(world, tenant)
    assert await world.target.resources(tenant) == []


async def test_a_killed_jobs_request_leaves_nothing_after_a_delete_on_a_second_worker(
    world: World,
) -> None:
    await world.worker()
    tenant = world.tenant()
    await world.target.set_fault(tenant, "create", delay_after=3.0)
    killed = await world.send(tenant, "provision", version=1)
    await world.target.wait_called(tenant, "create")
    await world.dispatcher.kill(killed)
    await world.worker()

    assert await world.run(tenant, "delete", version=1) == "deleted"

    await _has_landed(world, tenant)
    assert await world.target.resources(tenant) == []


async def test_many_jobs_of_one_tenant_end_with_the_last_and_one_resource(world: World) -> None:
    await world.worker()
    tenant = world.tenant()

    jobs = [await world.send(tenant, "update", version=number) for number in range(100, 120)]
    await asyncio.gather(*(world.wait_status(job, "completed") for job in jobs))

    assert (await world.target.document(tenant))["version"] == 119


async def _tried(world: World, job: str, times: int) -> None:
    async def look() -> bool:
        return bool((await world.wait_row(job)).get("retry_count", 0) >= times)

    await wait_for(look)


async def _pause(world: World, job: str) -> None:
    """Pause a job, and repeat that while it runs: restate-server once lost an accepted pause."""

    async def look() -> bool:
        await world.admin.pause(job)
        return bool((await world.wait_row(job))["status"] == "paused")

    await wait_for(look)


async def _change(world: World, job: str, change: str) -> None:
    """Cancel, kill, pause or resume an invocation, as an operator may."""
    url = f"{world.restate.admin_endpoint}/invocations/{job}/{change}"
    async with world.http.patch(url) as response:
        assert response.status < 300, await response.text()


async def _has_landed(world: World, tenant: str) -> None:
    async def look() -> bool:
        return bool(await world.target.ledger(tenant, "create", "201"))

    await wait_for(look)
