import asyncio

import pytest

from landlord_test_target.harness import World, wait_for


async def test_create_twice_update_and_delete_twice(world: World) -> None:
    await world.worker()
    tenant = world.tenant()
    await world.target.set_fault(tenant, "create", duplicate=1)

    outcomes = [
        await world.run(tenant, "provision", version=1),
        await world.run(tenant, "provision", version=1),
        await world.run(tenant, "update", version=2),
        await world.run(tenant, "delete", version=2),
        await world.run(tenant, "delete", version=2),
    ]

    assert outcomes == ["created", "unchanged", "updated", "deleted", "absent"]
    assert await world.wait_outcomes(tenant, 5) == outcomes
    assert await world.target.resources(tenant) == []


async def test_two_creates_at_once_make_one_resource(world: World) -> None:
    await world.worker()
    tenant = world.tenant()
    await world.target.set_fault(tenant, "create", delay_before=0.3, duplicate=1)
    body = world.body(tenant, "provision", {"version": 1})

    ids = await asyncio.gather(*(world.dispatcher.dispatch(body) for _ in range(2)))
    for job in ids:
        await world.wait_status(job, "completed")

    assert len(await world.target.resources(tenant)) == 1
    assert len(await world.target.ledger(tenant, "create", "201")) == 1


@pytest.mark.parametrize("count", [40, pytest.param(150, marks=pytest.mark.long)])
async def test_many_creates_at_once_make_a_resource_each(world: World, count: int) -> None:
    await world.worker()
    tenants = [world.tenant() for _ in range(count)]

    jobs = await asyncio.gather(*(world.send(name, "provision", version=1) for name in tenants))

    answers = [await world.wait_done(job) for job in jobs]
    assert [answer["output"]["status"] for answer in answers] == ["created"] * len(tenants)
    for tenant in tenants:
        assert len(await world.target.resources(tenant)) == 1
        assert len(await world.target.ledger(tenant, "create", "201")) == 1


async def test_an_update_of_what_is_missing_creates_it(world: World) -> None:
    await world.worker()
    tenant = world.tenant()

    assert await world.run(tenant, "update", version=1) == "created"

    assert len(await world.target.resources(tenant)) == 1
    assert await world.wait_outcomes(tenant, 1) == ["created"]


async def test_a_create_with_another_config_updates(world: World) -> None:
    await world.worker()
    tenant = world.tenant()
    await world.run(tenant, "provision", version=1)

    assert await world.run(tenant, "provision", version=2) == "updated"

    assert (await world.target.document(tenant))["version"] == 2
    assert (await world.wait_ended(tenant, 2))[1]["changes"] == ["version changed"]


@pytest.mark.parametrize("operation", ["provision", "update"])
async def test_a_tenant_moves_to_another_compute_engine(world: World, operation: str) -> None:
    await world.worker()
    tenant = world.tenant()
    await world.run(tenant, "provision", "target", version=1)

    assert await world.run(tenant, operation, "target2", version=1) == "created"

    (resource,) = await world.target.resources(tenant)
    assert resource["engine"] == "target2"
    last = (await world.wait_ended(tenant, 2))[1]
    assert last["placement"]["engine"] == "target2"
    assert [gone["engine"] for gone in last["removed"]] == ["target"]


async def test_another_location_is_provisioned_before_the_old_one_is_cleared(world: World) -> None:
    await world.worker()
    tenant = world.tenant()
    await world.run(tenant, "provision", version=1, location="east")

    await world.run(tenant, "update", version=1, location="west")

    (resource,) = await world.target.resources(tenant)
    assert resource["location"] == "west"
    (made,) = (
        row
        for row in await world.target.ledger(tenant, "create", "201")
        if row["location"] == "west"
    )
    (removed,) = await world.target.ledger(tenant, "delete", "200")
    assert made["at"] < removed["at"]
    await world.wait_ended(tenant, 2)
    assert (await world.status(tenant))["placements"] == [
        {"engine": "target", "location": "west", "resource_ids": {"id": str(resource["id"])}}
    ]


async def test_a_delete_without_a_record_finds_the_resource_on_every_engine(world: World) -> None:
    await world.worker()
    tenant = world.tenant()
    await world.run(tenant, "provision", "target2", version=1)
    other = World(restate=world.restate, target=world.target, http=world.http, folder=world.folder)
    try:
        await other.worker()

        assert await other.run(tenant, "delete", version=1) == "deleted"
    finally:
        await other.aclose()

    assert await world.target.resources(tenant) == []


async def test_a_rolled_back_update_is_held_and_applied_only_once(world: World) -> None:
    await world.worker(hold_retry_interval="100ms")
    tenant = world.tenant()
    await world.run(tenant, "provision", version=1)

    bad = await world.send(tenant, "update", version=2, unhealthy=True)
    await world.wait_held(bad, "rolled back")
    retries = (await world.wait_row(bad))["retry_count"]

    async def look() -> bool:
        return bool((await world.wait_row(bad))["retry_count"] > retries + 2)

    await wait_for(look)
    assert len(await world.target.ledger(tenant, "update")) == 1
    assert (await world.target.document(tenant))["version"] == 1
    assert await world.run(tenant, "update", version=3) == "updated"


async def test_a_job_that_never_becomes_healthy_is_retried_until_a_config_repairs_it(
    world: World,
) -> None:
    await world.worker()
    tenant = world.tenant()

    sick = await world.send(tenant, "provision", version=1, unhealthy=True)
    await world.wait_held(sick, "it did not become healthy")
    await world.dispatcher.kill(sick)

    assert await world.run(tenant, "provision", version=2) == "updated"
    assert len(await world.target.resources(tenant)) == 1
    first, second = await world.wait_ended(tenant, 1)
    assert (first["ended_at"], second["outcome"]) == (None, "updated")


async def test_a_plan_changes_nothing_and_takes_no_lock(world: World) -> None:
    await world.worker()
    tenant = world.tenant()
    await world.run(tenant, "provision", version=1)

    answer = await world.wait_done(await world.send(tenant, "plan", version=2))

    assert answer["output"]["status"] == "update"
    assert answer["output"]["changes"] == ["version changed"]
    assert len(await world.wait_ended(tenant, 1)) == 1
    assert (await world.target.document(tenant))["version"] == 1
