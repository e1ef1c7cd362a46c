"""Jobs are killed while their requests are late or their worker is frozen; another job follows.

A plain run has two cases. `nox -s killed_jobs -- --seed 7` runs forty with a step_timeout of 20 s.
"""

import asyncio
from collections.abc import Callable
from contextlib import AbstractAsyncContextManager
from itertools import chain
from math import ceil
from pathlib import Path
from random import Random

import pytest

from landlord_test_target.harness import Harness, Target
from landlord_test_target.killed_jobs.case_record import CaseRecord, write_records
from landlord_test_target.killed_jobs.case_runner import CaseRunner
from landlord_test_target.killed_jobs.cases import Case, Timeouts, draw_cases, draw_freezes
from landlord_test_target.killed_jobs.environment import (
    CaseEnvironment,
    start_queue_environment,
    start_restate_environment,
)
from landlord_test_target.killed_jobs.ledger_target import MOMENTS, LedgerTarget

AT_ONCE = 8


StartEnvironment = Callable[[LedgerTarget, bool], AbstractAsyncContextManager[CaseEnvironment]]


async def run_all_cases(
    name: str,
    target: Target,
    config: pytest.Config,
    folder: Path,
    start_environment: StartEnvironment,
) -> None:
    """Run half of the cases with Landlord's API and half without, each with a frozen worker."""
    seed, count = config.getoption("seed"), config.getoption("cases")
    times = Timeouts(step_timeout=config.getoption("step_timeout"))
    case_target, cases = (
        LedgerTarget(target=target, times=times),
        draw_cases(seed, count, times, MOMENTS),
    )

    async def run_cases(cases: list[Case], *, api: bool) -> list[CaseRecord]:
        freezes = draw_freezes(seed, ceil(len(cases) / AT_ONCE), times)
        async with start_environment(case_target, api) as environment:
            return await CaseRunner(environment=environment, at_once=AT_ONCE).run(cases, freezes)

    half = len(cases) // 2
    case_records = await asyncio.gather(
        run_cases(cases[:half], api=True), run_cases(cases[half:], api=False)
    )
    wrong = write_records(
        name, seed, config.getoption("records") or folder, list(chain(*case_records))
    )
    assert not wrong, "\n".join(wrong)


async def test_killed_jobs_and_frozen_workers_leave_one_serving_version_or_nothing(
    harness: Harness, second_harness: Harness, tmp_path: Path, pytestconfig: pytest.Config
) -> None:
    chance = Random(pytestconfig.getoption("seed"))

    def start_environment(
        case_target: LedgerTarget,
        api: bool,  # noqa: FBT001
    ) -> AbstractAsyncContextManager[CaseEnvironment]:
        return start_restate_environment(
            harness if api else second_harness, case_target, case_target.times, chance, api=api
        )

    await run_all_cases("ledger", harness.target, pytestconfig, tmp_path, start_environment)


@pytest.mark.long
async def test_killed_jobs_of_a_queue_with_leases_leave_one_serving_version_or_nothing(
    target: Target, tmp_path: Path, pytestconfig: pytest.Config
) -> None:
    def start_environment(
        case_target: LedgerTarget,
        api: bool,  # noqa: FBT001
    ) -> AbstractAsyncContextManager[CaseEnvironment]:
        return start_queue_environment(tmp_path, case_target, case_target.times, api=api)

    await run_all_cases("queue", target, pytestconfig, tmp_path, start_environment)
