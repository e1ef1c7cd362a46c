"""The judge finds each planted bug, and names it by the expected oracle."""

import asyncio
import shutil
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from time import time

import pytest

from landlord_test_target.faults.campaign import Campaign, CampaignOptions, start_campaign
from landlord_test_target.faults.fault import Fault
from landlord_test_target.faults.judge import LONGEST_ON_THE_WIRE, Finding, Judge
from landlord_test_target.faults.load import Load, Operation
from landlord_test_target.harness import Harness

# These tests verify the campaign of `nox -s faults`, which is long too.
pytestmark = pytest.mark.long

BUGGY = {"compute_provider": "buggy", "version": 1}
PLAIN = {"compute_provider": "target", "location": "main", "version": 1}


async def judge_tenants(harness: Harness, options: CampaignOptions) -> list[Finding]:
    """Create, update and delete a few tenants, and return the judge's findings."""
    async with start_campaign(harness, options) as campaign:
        engine, patience = ("buggy", 8.0) if options.bug else ("target", 60.0)
        load = Load(
            landlord=campaign.landlord, seed=3, users=3, engines=(engine,), patience=patience
        )
        async with asyncio.TaskGroup() as group:
            group.create_task(load.run())
            while len(load.operations) < 12:
                await asyncio.sleep(0.05)
            load.enough.set()
        await campaign.wait_no_open_job(within=5 if options.bug == "stuck" else 60)
        return await Judge(campaign=campaign, load=load, faults=[]).find_faults()


@asynccontextmanager
async def start_campaign_with_judge(
    harness: Harness, options: CampaignOptions
) -> AsyncIterator[tuple[Campaign, Judge]]:
    """Start a campaign without automatic users, with its judge."""
    async with start_campaign(harness, options) as campaign:
        yield (
            campaign,
            Judge(
                campaign=campaign, load=Load(landlord=campaign.landlord, seed=1, users=0), faults=[]
            ),
        )


async def create_tenant(judge: Judge, **config: object) -> str:
    """Create a tenant that the judge knows, and wait until it is ready."""
    tenant = await judge.campaign.landlord.create("acme", **config)
    judge.load.tenants[tenant] = "acme"
    await judge.campaign.landlord.wait_fields(tenant, status="ready")
    return tenant


async def delete_tenant(judge: Judge, tenant: str) -> None:
    """Delete a tenant and wait until Landlord shows that."""
    operation = Operation(tenant=tenant, kind="delete", config={}, status="gone")
    judge.load.operations.append(operation)
    await judge.campaign.landlord.delete(tenant)
    await judge.campaign.landlord.wait_removed(tenant)
    operation.ended = time()


def oracles(findings: list[Finding]) -> set[str]:
    return {finding.oracle for finding in findings}


@pytest.mark.parametrize("bug", ["lost", "wrong", "elsewhere", "doubled", "left over", "stuck"])
async def test_a_planted_bug_is_found(harness: Harness, bug: str) -> None:
    findings = await judge_tenants(harness, CampaignOptions(bug=bug))

    assert ("wrong" if bug == "elsewhere" else bug) in oracles(findings)


async def test_work_that_continues_too_late_after_a_kill_is_found(harness: Harness) -> None:
    async with start_campaign_with_judge(harness, CampaignOptions(bug="slow")) as (campaign, judge):
        tenant = await create_tenant(judge, **BUGGY)
        await campaign.landlord.update(tenant, **{**BUGGY, "version": 2})
        update = Operation(tenant=tenant, kind="update", config=BUGGY)
        judge.load.operations.append(update)
        fault = Fault(kind="worker -9", is_kill=True, running=[update])
        judge.faults.append(fault)
        await campaign.worker.kill()
        await campaign.restart_worker()
        fault.recovered = time()
        await campaign.landlord.wait_fields(tenant, status="ready")
        update.ended = time()

        assert "slow" in oracles(await judge.find_faults())


async def test_a_job_that_is_missing_in_the_history_is_found(harness: Harness) -> None:
    options = CampaignOptions(resync_after=0, worker={"history_retention": "1ms"})

    assert "not recorded" in oracles(await judge_tenants(harness, options))


async def test_a_job_that_fails_by_itself_is_found(harness: Harness) -> None:
    async with start_campaign_with_judge(harness, CampaignOptions()) as (campaign, judge):
        job = await campaign.harness.dispatcher.dispatch(b"{}")
        await campaign.harness.wait_status(job, "completed")

        (finding,) = await judge.find_faults()

    assert (finding.oracle, finding.detail[:3]) == ("failed", job[:3])


async def test_a_request_that_outlives_its_job_is_found(harness: Harness) -> None:
    options = CampaignOptions(bug="unchecked", resync_after=0)
    async with start_campaign_with_judge(harness, options) as (campaign, judge):
        workers = campaign.fleets[0]
        frozen = campaign.worker
        tenant = await campaign.landlord.create("acme", **BUGGY)
        judge.load.tenants[tenant] = "acme"
        await harness.target.set_fault(tenant, "inspect", delay_after=0.5)
        await harness.target.wait_called(tenant, "inspect", 2)
        workers.freeze(frozen)
        await harness.target.set_fault(tenant, "inspect")
        await workers.start()
        workers.take_out(frozen)
        # Restate would reuse its open connections to the frozen worker.
        workers.proxy.cut()
        await delete_tenant(judge, tenant)
        # `cut` lets the held request continue. It may be in flight for this long.
        await asyncio.sleep(LONGEST_ON_THE_WIRE)
        workers.thaw(frozen)
        await harness.target.wait_called(tenant, "create")

        assert "acted late" in oracles(await judge.find_faults())


async def test_an_order_that_ignores_when_jobs_were_dispatched_is_found(harness: Harness) -> None:
    async with start_campaign_with_judge(
        harness, CampaignOptions(bug="no order", asks_landlord=False)
    ) as (
        campaign,
        judge,
    ):
        tenant = await create_tenant(judge, **BUGGY)
        late = await campaign.late_dispatcher.send_late(
            harness.body(tenant, "update", {"version": 2}, "buggy"), 1.5
        )
        await campaign.landlord.update(tenant, **{**BUGGY, "version": 3})
        await campaign.landlord.wait_fields(tenant, status="ready")
        await harness.wait_status(late.id, "completed")

        assert "wrong" in oracles(await judge.find_faults())


async def test_a_resync_that_never_comes_is_found_with_skewed_clocks(harness: Harness) -> None:
    async with start_campaign_with_judge(harness, CampaignOptions(skew=60, resync_after=0)) as (
        campaign,
        judge,
    ):
        campaign.clocks.share = 1.0
        tenant = await create_tenant(judge, **PLAIN)
        version = 1
        while (await harness.target.document(tenant))["version"] == version:
            version += 1
            await campaign.landlord.update(tenant, **{**PLAIN, "version": version})
            await campaign.landlord.wait_fields(tenant, status="ready")

        assert "wrong" in oracles(await judge.find_faults())


async def test_a_version_that_never_comes_back_is_found(harness: Harness) -> None:
    async with start_campaign_with_judge(harness, CampaignOptions(second=True)) as (
        campaign,
        judge,
    ):
        tenant = await create_tenant(judge, **PLAIN)
        _, second = campaign.fleets
        await second.kill(second.routed[0])
        await campaign.landlord.update(tenant, **{**PLAIN, "version": 2})
        await campaign.landlord.wait_fields(tenant, workflow_sub_state="backing-off")

        assert "stuck" in oracles(await judge.find_faults())


async def test_a_restate_server_that_lost_its_data_is_found(dedicated_harness: Harness) -> None:
    async with start_campaign_with_judge(dedicated_harness, CampaignOptions(resync_after=0)) as (
        campaign,
        judge,
    ):
        tenant = await create_tenant(judge, **PLAIN)
        await dedicated_harness.target.set_fault(tenant, "update", hold=1)
        await campaign.landlord.update(tenant, **{**PLAIN, "version": 2})
        await dedicated_harness.target.wait_called(tenant, "update")
        await dedicated_harness.restate.kill()
        shutil.rmtree(dedicated_harness.restate.folder / "local")
        await dedicated_harness.restate.start()
        await dedicated_harness.target.set_fault(tenant, "update")

        assert {"stuck", "left in Restate"} <= oracles(await judge.find_faults())


async def test_a_fault_after_the_first_check_is_found_by_the_second(harness: Harness) -> None:
    options = CampaignOptions(bug="acts later", resync_after=0, step_timeout=1, carry=1)
    async with start_campaign_with_judge(harness, options) as (_, judge):
        tenant = await create_tenant(judge, **BUGGY)
        await delete_tenant(judge, tenant)

        findings = await judge.findings()

    assert {(finding.oracle, finding.late) for finding in findings} >= {("left over", True)}


async def test_a_record_that_is_never_forgotten_is_found(harness: Harness) -> None:
    async with start_campaign_with_judge(harness, CampaignOptions(resync_after=0)) as (
        campaign,
        judge,
    ):
        tenant = await create_tenant(judge, **PLAIN)
        await delete_tenant(judge, tenant)
        await campaign.wait_no_open_job(within=10)
        assert await judge.find_faults() == []
        (forget,) = await harness.admin.query(
            "SELECT id FROM sys_invocation WHERE target_handler_name = 'forget'"
            f" AND target_service_key = '{tenant}'"
        )
        await harness.admin.kill(str(forget["id"]))

        (finding,) = await judge.find_faults()

    assert (finding.oracle, finding.tenant) == ("left in Restate", tenant)


async def test_without_a_bug_nothing_is_found(harness: Harness) -> None:
    assert await judge_tenants(harness, CampaignOptions()) == []
