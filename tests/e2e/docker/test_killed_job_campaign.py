"""Jobs are killed while their requests to a real Docker daemon are late; another job follows.

The long tests run two cases. `nox -s killed_jobs -- --seed 7` runs forty with a step_timeout of 20 s.
"""

import asyncio
from pathlib import Path
from random import Random
from uuid import uuid4

import pytest

from landlord_test_target.harness import Harness
from landlord_test_target.killed_jobs.case_record import CaseRecord, write_records
from landlord_test_target.killed_jobs.case_runner import CaseRunner
from landlord_test_target.killed_jobs.cases import (
    BEFORE,
    Case,
    Delay,
    KilledJob,
    NextJob,
    Timeouts,
    draw_cases,
)
from landlord_test_target.killed_jobs.docker_proxy import MOMENTS
from landlord_test_target.killed_jobs.docker_target import run_docker_target
from landlord_test_target.killed_jobs.environment import start_restate_environment


def case_of_delayed_stop(times: Timeouts) -> Case:
    """Build a case whose job is killed during its stop request; the next job desires the stopped version."""
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
    harness: Harness, second_harness: Harness, tmp_path: Path, pytestconfig: pytest.Config
) -> None:
    seed, count = pytestconfig.getoption("seed"), pytestconfig.getoption("cases")
    times = Timeouts(step_timeout=pytestconfig.getoption("step_timeout"))
    cases = [*draw_cases(seed, count, times, MOMENTS), case_of_delayed_stop(times)]
    async with run_docker_target(tmp_path, harness.http, times) as case_target:
        await case_target.prepare(cases)

        async def run_cases(
            harness: Harness, part_of_cases: list[Case], *, api: bool
        ) -> list[CaseRecord]:
            chance = Random(f"{seed} {api}")
            async with start_restate_environment(
                harness, case_target, times, chance, api=api
            ) as environment:
                return await CaseRunner(environment=environment, at_once=8).run(part_of_cases)

        half = len(cases) // 2
        with_api, without = await asyncio.gather(
            run_cases(harness, cases[:half], api=True),
            run_cases(second_harness, cases[half:], api=False),
        )
    folder = pytestconfig.getoption("records") or tmp_path
    wrong = write_records("docker", seed, folder, [*with_api, *without])
    assert not wrong, "\n".join(wrong)
