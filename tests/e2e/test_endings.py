"""Jobs that are killed while requests are late and a worker stands still, and what comes after.

A handful in a plain run; `nox -s endings -- --seed 7` plays forty of each with a step_timeout of 20 s.
"""

import asyncio
from math import ceil
from pathlib import Path
from random import Random

import pytest

from landlord_test_target.endings.ledger_ground import MOMENTS, LedgerGround
from landlord_test_target.endings.plan import Case, Times, freezes, plan
from landlord_test_target.endings.play import Player
from landlord_test_target.endings.stage import restate_stage
from landlord_test_target.endings.story import Story, told
from landlord_test_target.harness import World

AT_ONCE = 8


async def test_one_version_serves_or_nothing_is_left_however_a_job_on_a_frozen_worker_ends(
    world: World, second_world: World, tmp_path: Path, pytestconfig: pytest.Config
) -> None:
    seed, count = pytestconfig.getoption("seed"), pytestconfig.getoption("cases")
    times = Times(step_timeout=pytestconfig.getoption("step_timeout"))
    cases = plan(seed, count, times, MOMENTS)
    ground = LedgerGround(target=world.target, times=times)

    async def played(one: World, some: list[Case], *, api: bool) -> list[Story]:
        chance = Random(f"{seed} {api}")
        still = freezes(seed, ceil(len(some) / AT_ONCE), times)
        async with restate_stage(one, ground, times, chance, api=api) as stage:
            return await Player(stage=stage, at_once=AT_ONCE).run(some, still)

    half = len(cases) // 2
    with_api, without = await asyncio.gather(
        played(world, cases[:half], api=True), played(second_world, cases[half:], api=False)
    )
    folder = pytestconfig.getoption("stories") or tmp_path
    wrong = told("ledger", seed, folder, [*with_api, *without])
    assert not wrong, "\n".join(wrong)
