"""A planted bug is found by the oracle that is there for it."""

import asyncio
from time import time

import pytest

from landlord_test_target.faults.fault import Fault
from landlord_test_target.faults.judge import Finding, Judge
from landlord_test_target.faults.load import Load, Operation
from landlord_test_target.faults.stage import stage
from landlord_test_target.harness import World


async def found(world: World, bug: str = "", **settings: object) -> list[Finding]:
    """What the judge finds of a few tenants' lives."""
    async with stage(world, bug, **settings) as on:
        engine, patience = ("buggy", 8.0) if bug else ("target", 60.0)
        load = Load(landlord=on.landlord, seed=3, users=3, engines=(engine,), patience=patience)
        async with asyncio.TaskGroup() as group:
            group.create_task(load.run())
            while len(load.asked) < 12:
                await asyncio.sleep(0.05)
            load.enough.set()
        await on.quiet(within=5 if bug == "stuck" else 50)
        return await Judge(stage=on, load=load, faults=[]).findings()


@pytest.mark.parametrize("bug", ["lost", "wrong", "elsewhere", "doubled", "left over", "stuck"])
async def test_a_planted_bug_is_found(world: World, bug: str) -> None:
    oracles = {one.oracle for one in await found(world, bug)}

    assert ("wrong" if bug == "elsewhere" else bug) in oracles


async def test_work_that_goes_on_too_late_after_a_kill_is_found(world: World) -> None:
    async with stage(world, "slow") as on:
        load = Load(landlord=on.landlord, seed=1, users=0)
        config = {"compute_provider": "buggy", "version": 1}
        tenant = await on.landlord.create("acme", **config)
        await on.landlord.seen(tenant, status="ready")
        load.tenants[tenant] = "acme"
        await on.landlord.update(tenant, **{**config, "version": 2})
        update = Operation(tenant=tenant, kind="update", config=config)
        load.asked.append(update)
        fault = Fault(kind="worker -9", is_kill=True, running=[update])
        await on.worker.kill()
        await on.worker_again()
        fault.over = time()
        await on.landlord.seen(tenant, status="ready")
        update.ended = time()

        findings = await Judge(stage=on, load=load, faults=[fault]).findings()

    assert "slow" in {one.oracle for one in findings}


async def test_a_job_that_is_not_written_down_is_found(world: World) -> None:
    oracles = {one.oracle for one in await found(world, keep_history="1ms", settle_after="0")}

    assert "not written down" in oracles


async def test_a_job_that_fails_by_itself_is_found(world: World) -> None:
    async with stage(world) as on:
        load = Load(landlord=on.landlord, seed=1, users=0)
        job = await on.world.dispatcher.dispatch(b"{}")
        await on.world.has_status(job, "completed")

        (finding,) = await Judge(stage=on, load=load, faults=[]).findings()

    assert (finding.oracle, finding.what[:3]) == ("failed", job[:3])


async def test_without_a_bug_nothing_is_found(world: World) -> None:
    assert await found(world) == []
