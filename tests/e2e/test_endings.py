"""Jobs that are killed while their requests are late or their worker is frozen, and the jobs after them.

A plain run plays two cases. `nox -s endings -- --seed 7` plays forty with a step_timeout of 20 s.
"""

import asyncio
from collections.abc import Callable
from contextlib import AbstractAsyncContextManager
from itertools import chain
from math import ceil
from pathlib import Path
from random import Random

import pytest

from landlord_test_target.endings.ledger_ground import MOMENTS, LedgerGround
from landlord_test_target.endings.plan import Case, Times, freezes, plan
from landlord_test_target.endings.play import Player
from landlord_test_target.endings.stage import Stage, queue_stage, restate_stage
from landlord_test_target.endings.story import Story, told
from landlord_test_target.harness import Target, World

AT_ONCE = 8


Play = Callable[[LedgerGround, bool], AbstractAsyncContextManager[Stage]]


async def play_cases(
    name: str, target: Target, config: pytest.Config, folder: Path, play: Play
) -> None:
    """Play half of the cases with Landlord's API and half without, each with a frozen worker."""
    seed, count = config.getoption("seed"), config.getoption("cases")
    times = Times(step_timeout=config.getoption("step_timeout"))
    ground, cases = LedgerGround(target=target, times=times), plan(seed, count, times, MOMENTS)

    async def some(cases: list[Case], *, api: bool) -> list[Story]:
        still = freezes(seed, ceil(len(cases) / AT_ONCE), times)
        async with play(ground, api) as stage:
            return await Player(stage=stage, at_once=AT_ONCE).run(cases, still)

    half = len(cases) // 2
    stories = await asyncio.gather(some(cases[:half], api=True), some(cases[half:], api=False))
    wrong = told(name, seed, config.getoption("stories") or folder, list(chain(*stories)))
    assert not wrong, "\n".join(wrong)


async def test_killed_jobs_and_frozen_workers_leave_one_serving_version_or_nothing(
    world: World, second_world: World, tmp_path: Path, pytestconfig: pytest.Config
) -> None:
    chance = Random(pytestconfig.getoption("seed"))

    def play(ground: LedgerGround, api: bool) -> AbstractAsyncContextManager[Stage]:  # noqa: FBT001
        return restate_stage(world if api else second_world, ground, ground.times, chance, api=api)

    await play_cases("ledger", world.target, pytestconfig, tmp_path, play)


@pytest.mark.long
async def test_killed_jobs_of_a_queue_with_leases_leave_one_serving_version_or_nothing(
    target: Target, tmp_path: Path, pytestconfig: pytest.Config
) -> None:
    def play(ground: LedgerGround, api: bool) -> AbstractAsyncContextManager[Stage]:  # noqa: FBT001
        return queue_stage(tmp_path, ground, ground.times, api=api)

    await play_cases("queue", target, pytestconfig, tmp_path, play)
