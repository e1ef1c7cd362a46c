"""Each planted bug is found by its own oracle."""

import asyncio
import shutil
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from time import time

import pytest

from landlord_test_target.faults.fault import Fault
from landlord_test_target.faults.judge import ON_THE_WIRE, Finding, Judge
from landlord_test_target.faults.load import Load, Operation
from landlord_test_target.faults.stage import Parts, Stage, stage
from landlord_test_target.harness import World

# They prove the campaign of `nox -s faults`, which is long too.
pytestmark = pytest.mark.long

BUGGY = {"compute_provider": "buggy", "version": 1}
PLAIN = {"compute_provider": "target", "location": "main", "version": 1}


async def judge_lives(world: World, parts: Parts) -> list[Finding]:
    """Return the judge's findings on a few tenants' lives."""
    async with stage(world, parts) as on:
        engine, patience = ("buggy", 8.0) if parts.bug else ("target", 60.0)
        load = Load(landlord=on.landlord, seed=3, users=3, engines=(engine,), patience=patience)
        async with asyncio.TaskGroup() as group:
            group.create_task(load.run())
            while len(load.asked) < 12:
                await asyncio.sleep(0.05)
            load.enough.set()
        await on.quiet(within=5 if parts.bug == "stuck" else 60)
        return await Judge(stage=on, load=load, faults=[]).look()


@asynccontextmanager
async def stage_with_judge(world: World, parts: Parts) -> AsyncIterator[tuple[Stage, Judge]]:
    """Run a stage without automatic users, with its judge."""
    async with stage(world, parts) as on:
        yield on, Judge(stage=on, load=Load(landlord=on.landlord, seed=1, users=0), faults=[])


async def create_tenant(judge: Judge, **config: object) -> str:
    """Create a tenant that the judge knows, and wait until it is ready."""
    tenant = await judge.stage.landlord.create("acme", **config)
    judge.load.tenants[tenant] = "acme"
    await judge.stage.landlord.seen(tenant, status="ready")
    return tenant


async def delete_tenant(judge: Judge, tenant: str) -> None:
    """Delete a tenant and wait until Landlord shows that."""
    operation = Operation(tenant=tenant, kind="delete", config={}, status="gone")
    judge.load.asked.append(operation)
    await judge.stage.landlord.delete(tenant)
    await judge.stage.landlord.gone(tenant)
    operation.ended = time()


def oracles(findings: list[Finding]) -> set[str]:
    return {finding.oracle for finding in findings}


@pytest.mark.parametrize("bug", ["lost", "wrong", "elsewhere", "doubled", "left over", "stuck"])
async def test_a_planted_bug_is_found(world: World, bug: str) -> None:
    findings = await judge_lives(world, Parts(bug=bug))

    assert ("wrong" if bug == "elsewhere" else bug) in oracles(findings)


async def test_work_that_continues_too_late_after_a_kill_is_found(world: World) -> None:
    async with stage_with_judge(world, Parts(bug="slow")) as (on, judge):
        tenant = await create_tenant(judge, **BUGGY)
        await on.landlord.update(tenant, **{**BUGGY, "version": 2})
        update = Operation(tenant=tenant, kind="update", config=BUGGY)
        judge.load.asked.append(update)
        fault = Fault(kind="worker -9", is_kill=True, running=[update])
        judge.faults.append(fault)
        await on.worker.kill()
        await on.worker_again()
        fault.over = time()
        await on.landlord.seen(tenant, status="ready")
        update.ended = time()

        assert "slow" in oracles(await judge.look())


async def test_a_job_that_is_missing_in_the_history_is_found(world: World) -> None:
    parts = Parts(resync_after=0, worker={"history_retention": "1ms"})

    assert "not written down" in oracles(await judge_lives(world, parts))


async def test_a_job_that_fails_by_itself_is_found(world: World) -> None:
    async with stage_with_judge(world, Parts()) as (on, judge):
        job = await on.world.dispatcher.dispatch(b"{}")
        await on.world.has_status(job, "completed")

        (finding,) = await judge.look()

    assert (finding.oracle, finding.what[:3]) == ("failed", job[:3])


async def test_a_request_that_outlives_its_job_is_found(world: World) -> None:
    parts = Parts(bug="never asks", resync_after=0)
    async with stage_with_judge(world, parts) as (on, judge):
        workers = on.fleets[0]
        frozen = on.worker
        tenant = await on.landlord.create("acme", **BUGGY)
        judge.load.tenants[tenant] = "acme"
        await world.target.fault(tenant, "inspect", delay_after=0.5)
        await world.target.asked(tenant, "inspect", 2)
        workers.freeze(frozen)
        await world.target.fault(tenant, "inspect")
        await workers.start()
        workers.take_out(frozen)
        # Restate would reuse its open connections to the frozen worker.
        workers.way.cut()
        await delete_tenant(judge, tenant)
        # The cut released the request. The case needs the time on the wire to pass.
        await asyncio.sleep(ON_THE_WIRE)
        workers.wake(frozen)
        await world.target.asked(tenant, "create")

        assert "acted late" in oracles(await judge.look())


async def test_an_order_that_ignores_when_jobs_were_dispatched_is_found(world: World) -> None:
    async with stage_with_judge(world, Parts(bug="no order", asks_landlord=False)) as (on, judge):
        tenant = await create_tenant(judge, **BUGGY)
        late = await on.late.hold_back(world.body(tenant, "update", {"version": 2}, "buggy"), 1.5)
        await on.landlord.update(tenant, **{**BUGGY, "version": 3})
        await on.landlord.seen(tenant, status="ready")
        await world.has_status(late.id, "completed")

        assert "wrong" in oracles(await judge.look())


async def test_a_resync_that_never_comes_is_found_with_skewed_clocks(world: World) -> None:
    async with stage_with_judge(world, Parts(skew=60, resync_after=0)) as (on, judge):
        on.clocks.share = 1.0
        tenant = await create_tenant(judge, **PLAIN)
        version = 1
        while (await world.target.document(tenant))["version"] == version:
            version += 1
            await on.landlord.update(tenant, **{**PLAIN, "version": version})
            await on.landlord.seen(tenant, status="ready")

        assert "wrong" in oracles(await judge.look())


async def test_a_version_that_never_comes_back_is_found(world: World) -> None:
    async with stage_with_judge(world, Parts(second=True)) as (on, judge):
        tenant = await create_tenant(judge, **PLAIN)
        _, second = on.fleets
        await second.kill(second.routed[0])
        await on.landlord.update(tenant, **{**PLAIN, "version": 2})
        await on.landlord.seen(tenant, workflow_sub_state="backing-off")

        assert "stuck" in oracles(await judge.look())


async def test_a_restate_server_that_lost_its_data_is_found(own_world: World) -> None:
    async with stage_with_judge(own_world, Parts(resync_after=0)) as (on, judge):
        tenant = await create_tenant(judge, **PLAIN)
        await own_world.target.fault(tenant, "update", hold=1)
        await on.landlord.update(tenant, **{**PLAIN, "version": 2})
        await own_world.target.asked(tenant, "update")
        await own_world.restate.kill()
        shutil.rmtree(own_world.restate.folder / "local")
        await own_world.restate.start()
        await own_world.target.fault(tenant, "update")

        assert {"stuck", "left in Restate"} <= oracles(await judge.look())


async def test_a_fault_after_the_first_check_is_found_by_the_second(world: World) -> None:
    parts = Parts(bug="acts later", resync_after=0, step_timeout=1, carry=1)
    async with stage_with_judge(world, parts) as (_, judge):
        tenant = await create_tenant(judge, **BUGGY)
        await delete_tenant(judge, tenant)

        findings = await judge.findings()

    assert {(finding.oracle, finding.late) for finding in findings} >= {("left over", True)}


async def test_a_record_that_is_never_forgotten_is_found(world: World) -> None:
    async with stage_with_judge(world, Parts(resync_after=0)) as (on, judge):
        tenant = await create_tenant(judge, **PLAIN)
        await delete_tenant(judge, tenant)
        await on.quiet(within=10)
        assert await judge.look() == []
        (forget,) = await world.admin.query(
            "SELECT id FROM sys_invocation WHERE target_handler_name = 'forget'"
            f" AND target_service_key = '{tenant}'"
        )
        await world.admin.kill(str(forget["id"]))

        (finding,) = await judge.look()

    assert (finding.oracle, finding.tenant) == ("left in Restate", tenant)


async def test_without_a_bug_nothing_is_found(world: World) -> None:
    assert await judge_lives(world, Parts()) == []
