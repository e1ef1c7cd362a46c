"""A worker is killed at each piece of data that it sends or receives, one kill per run.

So the worker dies before a call to the target, between the call's effect and the journal, and after
that. Requests to Restate's admin API are left out. A plain run kills at some of these points,
`nox -s faults` at all.
"""

import asyncio
import json
import signal
import sys
from collections.abc import Mapping

import attrs
import pytest

from landlord_test_target.faults.stage import Parts, Stage, stage
from landlord_test_target.harness import World, wait_for

CONFIG: Mapping[str, object] = {"compute_provider": "target", "version": 1, "location": "main"}
CHANGES: Mapping[str, Mapping[str, object]] = {
    "update": {**CONFIG, "version": 2},
    "move": {**CONFIG, "location": "east"},
    "same again": CONFIG,
}


@attrs.define
class Crash:
    """A crash: kills the worker in place of relaying one piece of data, and restarts it."""

    on: Stage
    at: int = 0
    seen: int = 0
    back: asyncio.Task[None] | None = None

    async def passing(self, _: bytes) -> None:
        self.seen += 1
        if self.seen == self.at:
            # Not awaited here, because the worker's end closes this very connection.
            self.back = asyncio.create_task(self._again())
            self.on.worker.signal(signal.SIGKILL)
            raise ConnectionResetError

    async def _again(self) -> None:
        await self.on.worker.ended()
        await self.on.worker_again()

    def arm(self, at: int) -> None:
        self.at, self.seen, self.back = at, 0, None


async def prepare_tenant(on: Stage, operation: str, name: str) -> str:
    """Prepare a tenant for the operation, so that the caller can arm a crash and request it."""
    tenant = await on.landlord.create(name, **CONFIG)
    if operation != "create":
        await wait_over(on, tenant, "ready", 1)
    return tenant


async def ask(on: Stage, operation: str, tenant: str) -> str:
    """Request the operation, and return the tenant's status at its end."""
    if operation == "archive":
        await on.landlord.archive(tenant)
        return "archived"
    if operation in CHANGES:
        await on.landlord.update(tenant, **CHANGES[operation])
    return "ready"


async def wait_over(on: Stage, tenant: str, status: str, count: int) -> None:
    """Wait until Landlord knows the end, and the record has this many ends.

    The worker is not asked, because its answer would be data at which it could be killed.
    """
    await on.landlord.seen(tenant, status=status)
    sql = (
        f"SELECT id FROM sys_invocation WHERE target_service_name = '{on.world.service}Tenant'"
        f" AND target_service_key = '{tenant}' AND target_handler_name = 'complete'"
        " AND status = 'completed'"
    )

    async def look() -> bool:
        return len(await on.world.admin.query(sql)) >= count

    await wait_for(look)


@pytest.mark.parametrize(
    "operation",
    [
        "create",
        "update",
        pytest.param("move", marks=pytest.mark.long),
        pytest.param("same again", marks=pytest.mark.long),
        pytest.param("archive", marks=pytest.mark.long),
    ],
)
async def test_a_job_is_completed_after_its_worker_was_killed_at_any_message(
    world: World, operation: str, pytestconfig: pytest.Config
) -> None:
    stride = pytestconfig.getoption("stride", 25)
    points = 0
    async with stage(world, Parts(resync_after=3600)) as on:
        crash = Crash(on)
        for way in on.ways:
            way.passing = crash.passing
        while True:
            at = 1 + points * stride
            if operation == "create":
                crash.arm(at)
            tenant = await prepare_tenant(on, operation, f"{operation}-{at}")
            if operation != "create":
                crash.arm(at)
            status = await ask(on, operation, tenant)
            await wait_over(on, tenant, status, 1 if operation == "create" else 2)
            if crash.back is None:
                break
            crash.at = 0
            await crash.back
            points += 1
            await judge(on, operation, tenant)
    sys.stdout.write(f"\n{operation}: killed at {points} points, {crash.seen} pieces in all\n")

    assert points >= 2


async def judge(on: Stage, operation: str, tenant: str) -> None:
    target = on.world.target
    config = CHANGES.get(operation, CONFIG)
    expected = [] if operation == "archive" else [(config["version"], config["location"])]
    documents = [json.loads(row["document"]) for row in await target.resources(tenant)]
    assert [(document["version"], document["location"]) for document in documents] == expected
    made = 2 if operation == "move" else 1
    assert len(await target.ledger(tenant, "create", "201")) == made
    history = await on.world.history(tenant)
    assert all(transition["ended_at"] for transition in history)
    assert len(history) == (1 if operation == "create" else 2)
