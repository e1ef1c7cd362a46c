"""A worker is killed at each piece of data that it sends or receives, one kill per run.

So the worker dies before a call to the target, between the call's effect and the journal, and after
that. The test relays the worker's requests to Restate's admin API without a kill. A plain run kills at
the first piece and twice later, `nox -s faults` at each piece.
"""

import asyncio
import json
import signal
import sys
from collections.abc import Mapping

import attrs
import pytest

from landlord_test_target.faults.campaign import Campaign, CampaignOptions, start_campaign
from landlord_test_target.harness import Harness, wait_for

CONFIG: Mapping[str, object] = {"compute_provider": "target", "version": 1, "location": "main"}
CHANGES: Mapping[str, Mapping[str, object]] = {
    "update": {**CONFIG, "version": 2},
    "move": {**CONFIG, "location": "east"},
    "same again": CONFIG,
}


@attrs.define
class Crash:
    """Kills the worker instead of relaying one piece of data, and restarts it."""

    campaign: Campaign
    at: int = 0
    pieces: int = 0
    restarting: asyncio.Task[None] | None = None

    async def relay_or_kill(self, _: bytes) -> None:
        self.pieces += 1
        if self.pieces == self.at:
            # Not awaited here, because the worker's end closes this very connection.
            self.restarting = asyncio.create_task(self._restart())
            self.campaign.worker.send_signal(signal.SIGKILL)
            raise ConnectionResetError

    async def _restart(self) -> None:
        await self.campaign.worker.wait_ended()
        await self.campaign.restart_worker()

    def arm(self, at: int) -> None:
        self.at, self.pieces, self.restarting = at, 0, None


async def prepare_tenant(campaign: Campaign, operation: str, name: str) -> str:
    """Prepare a tenant for the operation, so that the caller can arm a crash and request it."""
    tenant = await campaign.landlord.create(name, **CONFIG)
    if operation != "create":
        await wait_ended(campaign, tenant, "ready", 1)
    return tenant


async def request_operation(campaign: Campaign, operation: str, tenant: str) -> str:
    """Request the operation, and return the tenant's status at its end."""
    if operation == "archive":
        await campaign.landlord.archive(tenant)
        return "archived"
    if operation in CHANGES:
        await campaign.landlord.update(tenant, **CHANGES[operation])
    return "ready"


async def wait_ended(campaign: Campaign, tenant: str, status: str, count: int) -> None:
    """Wait until Landlord knows the end, and the record has this many ends.

    The test asks Restate, because an answer of the worker would be data at which it could be killed.
    """
    await campaign.landlord.wait_fields(tenant, status=status)
    sql = (
        f"SELECT id FROM sys_invocation WHERE target_service_name = '{campaign.harness.service}Tenant'"
        f" AND target_service_key = '{tenant}' AND target_handler_name = 'complete'"
        " AND status = 'completed'"
    )

    async def check() -> bool:
        return len(await campaign.harness.admin.query(sql)) >= count

    await wait_for(check)


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
    harness: Harness, operation: str, pytestconfig: pytest.Config
) -> None:
    async with start_campaign(harness, CampaignOptions(resync_after=3600)) as campaign:
        crash = Crash(campaign)
        for proxy in campaign.proxies:
            proxy.on_data = crash.relay_or_kill
        await run_and_kill(campaign, operation, crash, at=0)
        # A busy machine merges pieces, so a fixed stride would sometimes pass the last one.
        stride = pytestconfig.getoption("stride", 0) or max(1, crash.pieces // 3)
        points = 0
        while await run_and_kill(campaign, operation, crash, at=1 + points * stride):
            points += 1
    sys.stdout.write(f"\n{operation}: killed at {points} points, {crash.pieces} pieces in all\n")

    assert points >= 2


async def run_and_kill(campaign: Campaign, operation: str, crash: Crash, at: int) -> bool:
    """Run the operation on a new tenant with a kill at a piece; return whether the piece was reached."""
    if operation == "create":
        crash.arm(at)
    tenant = await prepare_tenant(campaign, operation, f"{operation}-{at}")
    if operation != "create":
        crash.arm(at)
    status = await request_operation(campaign, operation, tenant)
    await wait_ended(campaign, tenant, status, 1 if operation == "create" else 2)
    if crash.restarting is None:
        return False
    crash.at = 0
    await crash.restarting
    await check_result(campaign, operation, tenant)
    return True


async def check_result(campaign: Campaign, operation: str, tenant: str) -> None:
    target = campaign.harness.target
    config = CHANGES.get(operation, CONFIG)
    expected = [] if operation == "archive" else [(config["version"], config["location"])]
    documents = [json.loads(row["document"]) for row in await target.resources(tenant)]
    assert [(document["version"], document["location"]) for document in documents] == expected
    resource_count = 2 if operation == "move" else 1
    assert len(await target.ledger(tenant, "create", "201")) == resource_count
    history = await campaign.harness.history(tenant)
    assert all(transition["ended_at"] for transition in history)
    assert len(history) == (1 if operation == "create" else 2)
