"""The tenant lock keeps a tenant's record and history, for a limited time."""

from landlord_engines_restate.admin import literal, partition_key
from landlord_test_target.harness import World, wait_for

AWKWARD = ("acme/with slash", "o'brien' OR '1'='1", "ünï-代", "a\nb", "50%", "../x")


async def test_the_record_of_a_deleted_tenant_is_forgotten_in_time(world: World) -> None:
    await world.worker(history_retention="300ms", resync_after="0")
    tenant = world.tenant()
    await world.run(tenant, "provision", version=1)
    await world.run(tenant, "delete", version=1)
    assert len(await world.wait_ended(tenant, 2)) == 2

    async def look() -> bool:
        return await world.history(tenant) == []

    await wait_for(look)
    assert await world.status(tenant) == {
        "tenant": tenant,
        "holder": None,
        "resync": None,
        "placements": [],
        "last": None,
        "jobs": [],
    }


async def test_the_record_of_a_recreated_tenant_is_not_forgotten(world: World) -> None:
    await world.worker(history_retention="5s", resync_after="0")
    tenant, other = world.tenant(), world.tenant()
    await world.run(tenant, "delete", version=1)
    await world.run(tenant, "provision", version=1)
    # When the other tenant is forgotten, this one's time would have passed too.
    await world.run(other, "delete", version=1)
    await world.wait_ended(other, 1)

    async def look() -> bool:
        return await world.history(other) == []

    await wait_for(look)
    assert await world.wait_outcomes(tenant, 2) == ["absent", "created"]


async def test_a_job_cancelled_while_it_waits_for_the_lock_lets_no_other_acquire_it_early(
    world: World,
) -> None:
    await world.worker()
    tenant = world.tenant()
    await world.target.set_fault(tenant, "create", delay_before=2.0)
    holder = await world.send(tenant, "provision", version=1)
    await world.target.wait_called(tenant, "create")
    waiting = await world.send(tenant, "update", version=2)
    await world.wait_status(waiting, "suspended")
    await world.wait_acquire_suspended()

    url = f"{world.restate.admin_endpoint}/invocations/{waiting}/cancel"
    async with world.http.patch(url) as response:
        assert response.status in (200, 202)
    last = await world.run(tenant, "update", version=3)

    assert last == "updated"
    assert (await world.wait_row(waiting))["completion_failure"] == "[409] cancelled"
    assert (await world.wait_row(holder))["status"] == "completed"
    assert (await world.target.document(tenant))["version"] == 3
    assert len(await world.target.resources(tenant)) == 1


async def test_tenants_with_awkward_keys_work(world: World) -> None:
    await world.worker()
    for key in AWKWARD:
        tenant = f"{key} {world.tenant()}"

        assert await world.run(tenant, "provision", version=1) == "created"
        assert await world.run(tenant, "provision", version=1) == "unchanged"
        assert await world.run(tenant, "delete", version=1) == "deleted"
        assert await world.wait_outcomes(tenant, 3) == ["created", "unchanged", "deleted"]


async def test_restate_keeps_a_lock_in_the_partition_that_the_worker_queries(world: World) -> None:
    await world.worker()
    for key in AWKWARD:
        tenant = f"{key} {world.tenant()}"
        await world.run(tenant, "provision", version=1)

        rows = await world.admin.query(
            f"SELECT partition_key FROM state WHERE service_key = {literal(tenant)}"
        )

        # In another partition the worker would still find the lock, but by a slower query over all of them.
        assert [row["partition_key"] for row in rows] == [partition_key(tenant)] * 2
