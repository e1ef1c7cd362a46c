"""A job that an operator kills midway, without a younger job, leaves one complete version."""

import asyncio
from collections.abc import Iterator, Sequence

import pytest
from pytest_httpserver import HTTPServer

from landlord_test_target.harness import Harness, wait_for
from landlord_test_target.tenant_api import Landlord

SOON = "1s"
QUICK = "3s"
"""The worker's step_timeout: the last check comes after it."""


@pytest.fixture
def landlord() -> Iterator[Landlord]:
    with HTTPServer() as server:
        yield Landlord(server)


async def test_with_landlords_api_each_killed_job_is_repaired(
    harness: Harness, landlord: Landlord
) -> None:
    await harness.worker(api=landlord.url, resync_after=SOON, step_timeout=QUICK)
    moved, refused, removed = tenants = [harness.tenant() for _ in range(3)]
    for tenant in tenants:
        landlord.set_tenant(tenant, "ready", version=1)
        await harness.run(tenant, "provision", "target", version=1)

    landlord.set_tenant(moved, "updating", "target2", version=2)
    await _kill(harness, moved, "update", "delete", "target2")
    landlord.set_tenant(moved, "ready", "target2", version=2)
    landlord.set_tenant(refused, "updating", version=2)
    await _kill(harness, refused, "update", "update")
    landlord.set_tenant(refused, "ready", version=1)
    landlord.set_tenant(removed, "deleting", version=1)
    await _kill(harness, removed, "delete", "delete")
    landlord.remove_tenant(removed)

    await _wait_quiet(harness)
    assert await _list_resources(harness, moved) == [("target2", 2)]
    assert await _list_resources(harness, refused) == [("target", 1)]
    assert await _list_resources(harness, removed) == []
    for tenant in tenants:
        _, killed, *_ = await harness.history(tenant)
        assert killed["ended_at"] is None
    assert await _tenants_to_be_forgotten(harness) == [removed]


@pytest.mark.long
async def test_without_an_api_a_killed_update_leaves_one_complete_version(harness: Harness) -> None:
    await harness.worker(resync_after=SOON, step_timeout=QUICK)
    updated, removed = tenants = [harness.tenant() for _ in range(2)]
    for tenant in tenants:
        await harness.run(tenant, "provision", "target", version=1)

    await asyncio.gather(
        _kill(harness, updated, "update", "update"), _kill(harness, removed, "delete", "delete")
    )

    await _wait_quiet(harness)
    assert await _list_resources(harness, updated) in ([("target", 1)], [("target", 2)])
    assert await _list_resources(harness, removed) == []
    assert await _tenants_to_be_forgotten(harness) == [removed]


async def _kill(
    harness: Harness, tenant: str, operation: str, call: str, engine: str = "target"
) -> None:
    """Kill a job while this call to the target is in flight."""
    await harness.target.set_fault(tenant, call, hold=1)
    job = await harness.send(tenant, operation, engine, version=2)
    await harness.target.wait_called(tenant, call)
    await harness.admin.kill(job)
    await harness.wait_status(job, "completed")
    await harness.target.set_fault(tenant, call)


async def _wait_quiet(harness: Harness) -> None:
    """Wait until all resyncs have ended, and Restate has no open invocation."""
    sql = (
        f"SELECT id FROM sys_invocation WHERE target_service_name LIKE '{harness.service}%'"
        " AND status <> 'completed' AND target_handler_name <> 'forget'"
    )

    async def check() -> bool:
        return not await harness.admin.query(sql)

    await wait_for(check, within=60)


async def _tenants_to_be_forgotten(harness: Harness) -> Sequence[str]:
    """List the tenants whose record is scheduled to be forgotten."""
    sql = (
        "SELECT DISTINCT target_service_key FROM sys_invocation"
        f" WHERE target_service_name = '{harness.service}Tenant' AND target_handler_name = 'forget'"
        " AND status = 'scheduled'"
    )
    return [str(row["target_service_key"]) for row in await harness.admin.query(sql)]


async def _list_resources(harness: Harness, tenant: str) -> Sequence[tuple[str, int]]:
    """List the tenant's resources, and check that the record names their engines and no other."""
    resources = await harness.target.resources(tenant)
    recorded = [location["engine"] for location in (await harness.status(tenant))["placements"]]
    assert [resource["engine"] for resource in resources] == recorded
    if not resources:
        return []
    return [(recorded[0], (await harness.target.document(tenant))["version"])]
