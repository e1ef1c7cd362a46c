"""Jobs that are killed while requests to a real Docker daemon are late, and what comes after.

The long tests play two cases; `nox -s endings -- --seed 7` plays forty with a step_timeout of 20 s.
"""

import asyncio
from pathlib import Path
from random import Random
from uuid import uuid4

import pytest

from landlord_test_target.endings.docker_ground import docker_ground
from landlord_test_target.endings.docker_wire import MOMENTS
from landlord_test_target.endings.plan import BEFORE, Case, Delay, Then, Times, Work, plan
from landlord_test_target.endings.play import Player
from landlord_test_target.endings.stage import restate_stage
from landlord_test_target.endings.story import Story, told
from landlord_test_target.harness import World


def back_again(times: Times) -> Case:
    """A stop is on the wire as its job is killed; the next one wants what is about to be stopped."""
    late = Delay(call="stop", nth=1, moment=BEFORE, seconds=1.5 * times.step_timeout)
    return Case(
        number=0,
        tenant=str(uuid4()),
        work=Work.UPDATE,
        then=Then.YOUNGER,
        delays=(late,),
        killed_on="stop",
        killed_after=0.1,
        pause=0,
        worker=0,
        younger=1,
        has_port=False,
    )


@pytest.mark.long
async def test_killed_jobs_on_docker_leave_one_serving_version_or_nothing(
    world: World, second_world: World, tmp_path: Path, pytestconfig: pytest.Config
) -> None:
    seed, count = pytestconfig.getoption("seed"), pytestconfig.getoption("cases")
    times = Times(step_timeout=pytestconfig.getoption("step_timeout"))
    cases = [*plan(seed, count, times, MOMENTS), back_again(times)]
    async with docker_ground(tmp_path, world.http, times) as ground:
        await ground.prepare(cases)

        async def played(world: World, some: list[Case], *, api: bool) -> list[Story]:
            chance = Random(f"{seed} {api}")
            async with restate_stage(world, ground, times, chance, api=api) as stage:
                return await Player(stage=stage, at_once=8).run(some)

        half = len(cases) // 2
        with_api, without = await asyncio.gather(
            played(world, cases[:half], api=True),
            played(second_world, cases[half:], api=False),
        )
    folder = pytestconfig.getoption("stories") or tmp_path
    wrong = told("docker", seed, folder, [*with_api, *without])
    assert not wrong, "\n".join(wrong)
