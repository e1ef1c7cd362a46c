"""The fault campaign: while tenants live, what serves them is killed, cut and spoilt.

A short one in a plain run; `nox -s faults -- --kills 150 --operations 1000 --seed 7` for a long one.
"""

import asyncio
import sys
from collections.abc import Iterator
from pathlib import Path

import aiohttp
import pytest

from landlord_test_target.faults.injector import Injector
from landlord_test_target.faults.judge import Judge
from landlord_test_target.faults.load import Load
from landlord_test_target.faults.report import report
from landlord_test_target.faults.stage import stage
from landlord_test_target.harness import Target, World
from landlord_test_target.target import target_server

CHANCES = {"slow": 0.05, "fail": 0.03, "lose": 0.1}
"""Of each call to the target: how slow it is, and how often it fails or loses its answer."""

LONG = 100
"""From so many kills on two of them are long outages."""


@pytest.fixture
def target(tmp_path: Path, http: aiohttp.ClientSession) -> Iterator[Target]:
    """A target of its own, whose chances no other test meets."""
    with target_server(tmp_path) as url:
        yield Target(url=url, http=http)


async def test_no_tenant_is_lost_doubled_or_stuck_whatever_is_killed(
    own_world: World, pytestconfig: pytest.Config
) -> None:
    seed, kills = pytestconfig.getoption("seed", 1), pytestconfig.getoption("kills", 8)
    operations = pytestconfig.getoption("operations", 40)
    await own_world.target.chances(seed, **CHANCES)
    async with stage(own_world) as on:
        load = Load(landlord=on.landlord, seed=seed, users=8)
        injector = Injector(
            stage=on, load=load, seed=seed, kills=kills, outage=40.0 if kills >= LONG else 0.0
        )
        async with asyncio.TaskGroup() as group:
            group.create_task(load.run())
            await injector.run(operations)
            load.enough.set()
        await own_world.target.chances(seed)
        await on.quiet(within=60)
        judge = Judge(stage=on, load=load, faults=injector.faults)
        findings = await judge.findings()
        sys.stdout.write(f"\n{report(load, injector, judge, findings)}\n")
        stories = [await judge.story(finding) for finding in findings[:5]]

    # A short run may share its machine with whatever else is tested.
    wrong = [one for one in findings if kills >= LONG or one.oracle != "slow"]
    assert not wrong, "\n".join((f"seed {seed}", *stories))
    assert on.worker.lives
    landed = sum(one.landed for one in injector.faults if one.is_kill)
    assert landed >= 0.95 * injector.killed
    if kills >= LONG:
        measured = {fault.kind for fault, _, took in judge.measure().taken() if took}
        assert any(kind.endswith(" s") for kind in measured), measured
        assert len(judge.given_up) <= 0.05 * len(load.tenants)
