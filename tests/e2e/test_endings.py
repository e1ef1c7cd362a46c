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

from landlord_test_target.endings.case_record import CaseRecord, write_records
from landlord_test_target.endings.case_runner import CaseRunner
from landlord_test_target.endings.cases import Case, Timeouts, draw_cases, draw_freezes
from landlord_test_target.endings.environment import (
    CaseEnvironment,
    start_queue_environment,
    start_restate_environment,
)
from landlord_test_target.endings.ledger_target import MOMENTS, LedgerTarget
from landlord_test_target.harness import Target, World

AT_ONCE = 8


Play = Callable[[LedgerTarget, bool], AbstractAsyncContextManager[CaseEnvironment]]


async def play_cases(
    name: str, target: Target, config: pytest.Config, folder: Path, play: Play
) -> None:
    """Play half of the cases with Landlord's API and half without, each with a frozen worker."""
    seed, count = config.getoption("seed"), config.getoption("cases")
    times = Timeouts(step_timeout=config.getoption("step_timeout"))
    case_target, cases = (
        LedgerTarget(target=target, times=times),
        draw_cases(seed, count, times, MOMENTS),
    )

    async def some(cases: list[Case], *, api: bool) -> list[CaseRecord]:
        still = draw_freezes(seed, ceil(len(cases) / AT_ONCE), times)
        async with play(case_target, api) as environment:
            return await CaseRunner(environment=environment, at_once=AT_ONCE).run(cases, still)

    half = len(cases) // 2
    case_records = await asyncio.gather(some(cases[:half], api=True), some(cases[half:], api=False))
    wrong = write_records(
        name, seed, config.getoption("stories") or folder, list(chain(*case_records))
    )
    assert not wrong, "\n".join(wrong)


async def test_killed_jobs_and_frozen_workers_leave_one_serving_version_or_nothing(
    world: World, second_world: World, tmp_path: Path, pytestconfig: pytest.Config
) -> None:
    chance = Random(pytestconfig.getoption("seed"))

    def play(case_target: LedgerTarget, api: bool) -> AbstractAsyncContextManager[CaseEnvironment]:  # noqa: FBT001
        return start_restate_environment(
            world if api else second_world, case_target, case_target.times, chance, api=api
        )

    await play_cases("ledger", world.target, pytestconfig, tmp_path, play)


@pytest.mark.long
async def test_killed_jobs_of_a_queue_with_leases_leave_one_serving_version_or_nothing(
    target: Target, tmp_path: Path, pytestconfig: pytest.Config
) -> None:
    def play(case_target: LedgerTarget, api: bool) -> AbstractAsyncContextManager[CaseEnvironment]:  # noqa: FBT001
        return start_queue_environment(tmp_path, case_target, case_target.times, api=api)

    await play_cases("queue", target, pytestconfig, tmp_path, play)
