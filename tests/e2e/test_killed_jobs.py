"""A job that an operator kills midway, without a younger job, leaves one complete version."""

import asyncio
from collections.abc import Iterator, Sequence

import pytest
from pytest_httpserver import HTTPServer

from landlord_test_target.harness import World, wait_for
from landlord_test_target.tenant_api import Landlord

SOON = "1s"
QUICK = "3s"
"""The worker's step_timeout: the last look comes after it."""


@pytest.fixture
def landlord() -> Iterator[Landlord]:
    with HTTPServer() as server:
        yield Landlord(server)


async def test_with_landlords_api_each_killed_job_is_repaired(
    world: World, landlord: Landlord
) -> None:
    await world.worker(api=landlord.url, resync_after=SOON, step_timeout=QUICK)
    moved, refused, removed = tenants = [world.tenant() for _ in range(3)]
    for tenant in tenants:
        landlord.set_tenant(tenant, "ready", version=1)
        await world.run(tenant, "provision", "target", version=1)

    landlord.set_tenant(moved, "updating", "target2", version=2)
    await _kill(world, moved, "update", "delete", "target2")
    landlord.set_tenant(moved, "ready", "target2", version=2)
    landlord.set_tenant(refused, "updating", version=2)
    await _kill(world, refused, "update", "update")
    landlord.set_tenant(refused, "ready", version=1)
    landlord.set_tenant(removed, "deleting", version=1)
    await _kill(world, removed, "delete", "delete")
    landlord.remove_tenant(removed)

    await _wait_quiet(world)
    assert await _list_resources(world, moved) == [("target2", 2)]
    assert await _list_resources(world, refused) == [("target", 1)]
    assert await _list_resources(world, removed) == []
    for tenant in tenants:
        _, killed, *_ = await world.history(tenant)
        assert killed["ended_at"] is None
    assert await _forgotten_later(world) == [removed]


@pytest.mark.long
async def test_without_an_api_a_killed_update_leaves_one_complete_version(world: World) -> None:
    await world.worker(resync_after=SOON, step_timeout=QUICK)
    updated, removed = tenants = [world.tenant() for _ in range(2)]
    for tenant in tenants:
        await world.run(tenant, "provision", "target", version=1)

    await asyncio.gather(
        _kill(world, updated, "update", "update"), _kill(world, removed, "delete", "delete")
    )

    await _wait_quiet(world)
    assert await _list_resources(world, updated) in ([("target", 1)], [("target", 2)])
    assert await _list_resources(world, removed) == []
    assert await _forgotten_later(world) == [removed]


async def _kill(
    world: World, tenant: str, operation: str, call: str, engine: str = "target"
) -> None:
    """Kill a job while this call to the target is in flight."""
    await world.target.set_fault(tenant, call, hold=1)
    job = await world.send(tenant, operation, engine, version=2)
    await world.target.wait_called(tenant, call)
    await world.admin.kill(job)
    await world.wait_status(job, "completed")
    await world.target.set_fault(tenant, call)


async def _wait_quiet(world: World) -> None:
    """Wait until all resyncs have ended, and Restate has nothing left to run."""
    sql = (
        f"SELECT id FROM sys_invocation WHERE target_service_name LIKE '{world.service}%'"
        " AND status <> 'completed' AND target_handler_name <> 'forget'"
    )

    async def look() -> bool:
        return not await world.admin.query(sql)

    await wait_for(look, within=60)


async def _forgotten_later(world: World) -> Sequence[str]:
    """List the tenants whose record is scheduled to be forgotten."""
    sql = (
        "SELECT DISTINCT target_service_key FROM sys_invocation"
        f" WHERE target_service_name = '{world.service}Tenant' AND target_handler_name = 'forget'"
        " AND status = 'scheduled'"
    )
    return [str(row["target_service_key"]) for row in await world.admin.query(sql)]


async def _list_resources(world: World, tenant: str) -> Sequence[tuple[str, int]]:
    """List what serves the tenant, and check that the record names no other location."""
    resources = await world.target.resources(tenant)
    recorded = [location["engine"] for location in (await world.status(tenant))["placements"]]
    assert [resource["engine"] for resource in resources] == recorded
    if not resources:
        return []
    return [(recorded[0], (await world.target.document(tenant))["version"])]
