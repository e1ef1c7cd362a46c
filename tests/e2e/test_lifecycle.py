"""A tenant's lifecycle through Restate and a real worker: create, update, move, plan and delete."""

import asyncio

import pytest

from landlord_test_target.harness import Harness, wait_for


async def test_create_twice_update_and_delete_twice(harness: Harness) -> None:
    await harness.worker()
    tenant = harness.tenant()
    await harness.target.set_fault(tenant, "create", duplicate=1)

    outcomes = [
        await harness.run(tenant, "provision", version=1),
        await harness.run(tenant, "provision", version=1),
        await harness.run(tenant, "update", version=2),
        await harness.run(tenant, "delete", version=2),
        await harness.run(tenant, "delete", version=2),
    ]

    assert outcomes == ["created", "unchanged", "updated", "deleted", "absent"]
    assert await harness.wait_outcomes(tenant, 5) == outcomes
    assert await harness.target.resources(tenant) == []


async def test_two_creates_at_once_make_one_resource(harness: Harness) -> None:
    await harness.worker()
    tenant = harness.tenant()
    await harness.target.set_fault(tenant, "create", delay_before=0.3, duplicate=1)
    body = harness.body(tenant, "provision", {"version": 1})

    ids = await asyncio.gather(*(harness.dispatcher.dispatch(body) for _ in range(2)))
    for job in ids:
        await harness.wait_status(job, "completed")

    assert len(await harness.target.resources(tenant)) == 1
    assert len(await harness.target.ledger(tenant, "create", "201")) == 1


@pytest.mark.parametrize("count", [40, pytest.param(150, marks=pytest.mark.long)])
async def test_many_creates_at_once_make_a_resource_each(harness: Harness, count: int) -> None:
    await harness.worker()
    tenants = [harness.tenant() for _ in range(count)]

    jobs = await asyncio.gather(*(harness.send(name, "provision", version=1) for name in tenants))

    answers = [await harness.wait_done(job) for job in jobs]
    assert [answer["output"]["status"] for answer in answers] == ["created"] * len(tenants)
    for tenant in tenants:
        assert len(await harness.target.resources(tenant)) == 1
        assert len(await harness.target.ledger(tenant, "create", "201")) == 1


async def test_an_update_of_what_is_missing_creates_it(harness: Harness) -> None:
    await harness.worker()
    tenant = harness.tenant()

    assert await harness.run(tenant, "update", version=1) == "created"

    assert len(await harness.target.resources(tenant)) == 1
    assert await harness.wait_outcomes(tenant, 1) == ["created"]


async def test_a_create_with_another_config_updates(harness: Harness) -> None:
    await harness.worker()
    tenant = harness.tenant()
    await harness.run(tenant, "provision", version=1)

    assert await harness.run(tenant, "provision", version=2) == "updated"

    assert (await harness.target.document(tenant))["version"] == 2
    assert (await harness.wait_ended(tenant, 2))[1]["changes"] == ["version changed"]


@pytest.mark.parametrize("operation", ["provision", "update"])
async def test_a_tenant_moves_to_another_compute_engine(harness: Harness, operation: str) -> None:
    await harness.worker()
    tenant = harness.tenant()
    await harness.run(tenant, "provision", "target", version=1)

    assert await harness.run(tenant, operation, "target2", version=1) == "created"

    (resource,) = await harness.target.resources(tenant)
    assert resource["engine"] == "target2"
    last = (await harness.wait_ended(tenant, 2))[1]
    assert last["placement"]["engine"] == "target2"
    assert [gone["engine"] for gone in last["removed"]] == ["target"]


async def test_another_location_is_provisioned_before_the_old_one_is_cleared(
    harness: Harness,
) -> None:
    await harness.worker()
    tenant = harness.tenant()
    await harness.run(tenant, "provision", version=1, location="east")

    await harness.run(tenant, "update", version=1, location="west")

    (resource,) = await harness.target.resources(tenant)
    assert resource["location"] == "west"
    (created,) = (
        row
        for row in await harness.target.ledger(tenant, "create", "201")
        if row["location"] == "west"
    )
    (removed,) = await harness.target.ledger(tenant, "delete", "200")
    assert created["at"] < removed["at"]
    await harness.wait_ended(tenant, 2)
    assert (await harness.status(tenant))["placements"] == [
        {"engine": "target", "location": "west", "resource_ids": {"id": str(resource["id"])}}
    ]


async def test_a_delete_without_a_record_finds_the_resource_on_every_engine(
    harness: Harness,
) -> None:
    await harness.worker()
    tenant = harness.tenant()
    await harness.run(tenant, "provision", "target2", version=1)
    other = Harness(
        restate=harness.restate, target=harness.target, http=harness.http, folder=harness.folder
    )
    try:
        await other.worker()

        assert await other.run(tenant, "delete", version=1) == "deleted"
    finally:
        await other.aclose()

    assert await harness.target.resources(tenant) == []


async def test_a_rolled_back_update_is_held_and_applied_only_once(harness: Harness) -> None:
    await harness.worker(hold_retry_interval="100ms")
    tenant = harness.tenant()
    await harness.run(tenant, "provision", version=1)

    bad = await harness.send(tenant, "update", version=2, unhealthy=True)
    await harness.wait_held(bad, "rolled back")
    retries = (await harness.wait_row(bad))["retry_count"]

    async def check() -> bool:
        return bool((await harness.wait_row(bad))["retry_count"] > retries + 2)

    await wait_for(check)
    assert len(await harness.target.ledger(tenant, "update")) == 1
    assert (await harness.target.document(tenant))["version"] == 1
    assert await harness.run(tenant, "update", version=3) == "updated"


async def test_a_job_that_never_becomes_healthy_is_retried_until_a_config_repairs_it(
    harness: Harness,
) -> None:
    await harness.worker()
    tenant = harness.tenant()

    sick = await harness.send(tenant, "provision", version=1, unhealthy=True)
    await harness.wait_held(sick, "it did not become healthy")
    await harness.dispatcher.kill(sick)

    assert await harness.run(tenant, "provision", version=2) == "updated"
    assert len(await harness.target.resources(tenant)) == 1
    first, second = await harness.wait_ended(tenant, 1)
    assert (first["ended_at"], second["outcome"]) == (None, "updated")


async def test_a_plan_changes_nothing_and_takes_no_lock(harness: Harness) -> None:
    await harness.worker()
    tenant = harness.tenant()
    await harness.run(tenant, "provision", version=1)

    answer = await harness.wait_done(await harness.send(tenant, "plan", version=2))

    assert answer["output"]["status"] == "update"
    assert answer["output"]["changes"] == ["version changed"]
    assert len(await harness.wait_ended(tenant, 1)) == 1
    assert (await harness.target.document(tenant))["version"] == 1
