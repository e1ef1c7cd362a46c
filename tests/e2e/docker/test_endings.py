"""Jobs that are killed while requests to a real Docker daemon are late, and what comes after.

The long tests play two cases; `nox -s endings -- --seed 7` plays forty with a step_timeout of 20 s.
"""

import asyncio
from pathlib import Path
from random import Random
from uuid import uuid4

import pytest

from landlord_test_target.endings.case_record import CaseRecord, write_records
from landlord_test_target.endings.case_runner import CaseRunner
from landlord_test_target.endings.cases import (
    BEFORE,
    Case,
    Delay,
    KilledJob,
    NextJob,
    Timeouts,
    draw_cases,
)
from landlord_test_target.endings.docker_proxy import MOMENTS
from landlord_test_target.endings.docker_target import run_docker_target
from landlord_test_target.endings.environment import start_restate_environment
from landlord_test_target.harness import World


def back_again(times: Timeouts) -> Case:
    """A stop is on the wire as its job is killed; the next one wants what is about to be stopped."""
    late = Delay(call="stop", nth=1, moment=BEFORE, seconds=1.5 * times.step_timeout)
    return Case(
        number=0,
        tenant=str(uuid4()),
        killed_job=KilledJob.UPDATE,
        next_job=NextJob.YOUNGER,
        delays=(late,),
        killed_on="stop",
        killed_after=0.1,
        pause=0,
        worker=0,
        next_version=1,
        has_port=False,
    )


@pytest.mark.long
async def test_killed_jobs_on_docker_leave_one_serving_version_or_nothing(
    world: World, second_world: World, tmp_path: Path, pytestconfig: pytest.Config
) -> None:
    seed, count = pytestconfig.getoption("seed"), pytestconfig.getoption("cases")
    times = Timeouts(step_timeout=pytestconfig.getoption("step_timeout"))
    cases = [*draw_cases(seed, count, times, MOMENTS), back_again(times)]
    async with run_docker_target(tmp_path, world.http, times) as case_target:
        await case_target.prepare(cases)

        async def played(world: World, some: list[Case], *, api: bool) -> list[CaseRecord]:
            chance = Random(f"{seed} {api}")
            async with start_restate_environment(
                world, case_target, times, chance, api=api
            ) as environment:
                return await CaseRunner(environment=environment, at_once=8).run(some)

        half = len(cases) // 2
        with_api, without = await asyncio.gather(
            played(world, cases[:half], api=True),
            played(second_world, cases[half:], api=False),
        )
    folder = pytestconfig.getoption("stories") or tmp_path
    wrong = write_records("docker", seed, folder, [*with_api, *without])
    assert not wrong, "\n".join(wrong)
