"""The tenant lock keeps a tenant's record and history, for a limited time."""

from landlord_engines_restate.admin import literal, partition_key
from landlord_test_target.harness import Harness, wait_for

AWKWARD = ("acme/with slash", "o'brien' OR '1'='1", "ünï-代", "a\nb", "50%", "../x")


async def test_the_record_of_a_deleted_tenant_is_forgotten_in_time(harness: Harness) -> None:
    await harness.worker(history_retention="300ms", resync_after="0")
    tenant = harness.tenant()
    await harness.run(tenant, "provision", version=1)
    await harness.run(tenant, "delete", version=1)
    assert len(await harness.wait_ended(tenant, 2)) == 2

    async def check() -> bool:
        return await harness.history(tenant) == []

    await wait_for(check)
    assert await harness.status(tenant) == {
        "tenant": tenant,
        "holder": None,
        "resync": None,
        "placements": [],
        "last": None,
        "jobs": [],
    }


async def test_the_record_of_a_recreated_tenant_is_not_forgotten(harness: Harness) -> None:
    await harness.worker(history_retention="5s", resync_after="0")
    tenant, other = harness.tenant(), harness.tenant()
    await harness.run(tenant, "delete", version=1)
    await harness.run(tenant, "provision", version=1)
    # When the other tenant is forgotten, this one's time would have passed too.
    await harness.run(other, "delete", version=1)
    await harness.wait_ended(other, 1)

    async def check() -> bool:
        return await harness.history(other) == []

    await wait_for(check)
    assert await harness.wait_outcomes(tenant, 2) == ["absent", "created"]


async def test_a_job_cancelled_while_it_waits_for_the_lock_lets_no_other_acquire_it_early(
    harness: Harness,
) -> None:
    await harness.worker()
    tenant = harness.tenant()
    await harness.target.set_fault(tenant, "create", delay_before=2.0)
    holder = await harness.send(tenant, "provision", version=1)
    await harness.target.wait_called(tenant, "create")
    waiting = await harness.send(tenant, "update", version=2)
    await harness.wait_status(waiting, "suspended")
    await harness.wait_acquire_suspended()

    url = f"{harness.restate.admin_endpoint}/invocations/{waiting}/cancel"
    async with harness.http.patch(url) as response:
        assert response.status in (200, 202)
    last = await harness.run(tenant, "update", version=3)

    assert last == "updated"
    assert (await harness.wait_row(waiting))["completion_failure"] == "[409] cancelled"
    assert (await harness.wait_row(holder))["status"] == "completed"
    assert (await harness.target.document(tenant))["version"] == 3
    assert len(await harness.target.resources(tenant)) == 1


async def test_tenants_with_awkward_keys_work(harness: Harness) -> None:
    await harness.worker()
    for key in AWKWARD:
        tenant = f"{key} {harness.tenant()}"

        assert await harness.run(tenant, "provision", version=1) == "created"
        assert await harness.run(tenant, "provision", version=1) == "unchanged"
        assert await harness.run(tenant, "delete", version=1) == "deleted"
        assert await harness.wait_outcomes(tenant, 3) == ["created", "unchanged", "deleted"]


async def test_restate_keeps_a_lock_in_the_partition_that_the_worker_queries(
    harness: Harness,
) -> None:
    await harness.worker()
    for key in AWKWARD:
        tenant = f"{key} {harness.tenant()}"
        await harness.run(tenant, "provision", version=1)

        rows = await harness.admin.query(
            f"SELECT partition_key FROM state WHERE service_key = {literal(tenant)}"
        )

        # In another partition the worker would still find the lock, but by a slower query over all of them.
        assert [row["partition_key"] for row in rows] == [partition_key(tenant)] * 2
