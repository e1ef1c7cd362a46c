"""The cases of one seed are always the same, and the judge finds each kind of fault."""

from itertools import product

import attrs
import pytest

from landlord_test_target.killed_jobs.case_record import CaseRecord
from landlord_test_target.killed_jobs.case_target import Resources, TargetRequest
from landlord_test_target.killed_jobs.cases import (
    Case,
    KilledJob,
    NextJob,
    Timeouts,
    draw_cases,
    draw_freezes,
)
from landlord_test_target.killed_jobs.docker_proxy import MOMENTS
from landlord_test_target.killed_jobs.judge import find_faults

TIMES = Timeouts(step_timeout=20)

GONE = Resources(count=0, serving=0, running=0)


def one_serving(version: int) -> Resources:
    return Resources(count=1, serving=version, running=1)


def case_record(
    work: KilledJob, then: NextJob, resources: Resources, *, api: bool = True, had_lock: bool = True
) -> CaseRecord:
    (drawn,) = draw_cases(1, 1, TIMES, MOMENTS)
    case: Case = attrs.evolve(drawn, killed_job=work, next_job=then, next_version=3)
    return CaseRecord(
        case=case, api=api, had_lock=had_lock, next_job_ended=10.0, resources=resources
    )


def test_a_seed_gives_the_same_cases_each_time() -> None:
    cases = draw_cases(7, 40, TIMES, MOMENTS)

    assert cases == draw_cases(7, 40, TIMES, MOMENTS)
    assert cases != draw_cases(8, 40, TIMES, MOMENTS)
    assert draw_freezes(7, 3, TIMES) == draw_freezes(7, 3, TIMES)


def test_forty_cases_combine_each_operation_with_each_next_job_and_delay_each_call() -> None:
    cases = draw_cases(7, 40, TIMES, MOMENTS)

    assert {(case.killed_job, case.next_job) for case in cases} == set(product(KilledJob, NextJob))
    late = {(delay.call, delay.moment) for case in cases for delay in case.delays}
    assert late == {call for calls in MOMENTS.values() for call in calls}
    assert max(delay.seconds for case in cases for delay in case.delays) > TIMES.step_timeout


@pytest.mark.parametrize(
    ("work", "then", "api", "right"),
    [
        (KilledJob.UPDATE, NextJob.DELETE, True, [GONE]),
        (KilledJob.UNHEALTHY, NextJob.YOUNGER, True, [one_serving(3)]),
        (KilledJob.UPDATE, NextJob.NOTHING, True, [one_serving(2)]),
        (KilledJob.UPDATE, NextJob.NOTHING, False, [one_serving(1), one_serving(2)]),
        (KilledJob.NEVER_HEALTHY, NextJob.NOTHING, True, [one_serving(1)]),
        (KilledJob.NEVER_HEALTHY, NextJob.NOTHING, False, [one_serving(1)]),
        (KilledJob.PROVISION, NextJob.NOTHING, True, [one_serving(1)]),
        (KilledJob.PROVISION, NextJob.NOTHING, False, [GONE, one_serving(1)]),
    ],
)
def test_only_the_expected_versions_of_a_case_are_accepted(
    work: KilledJob, then: NextJob, right: list[Resources], *, api: bool
) -> None:
    outcomes = [GONE, *map(one_serving, (1, 2, 3))]

    assert [
        end for end in outcomes if not find_faults(case_record(work, then, end, api=api))
    ] == right


@pytest.mark.parametrize(
    "resources",
    [Resources(count=2, serving=0, running=1), Resources(count=1, serving=0, running=1)],
)
def test_an_incomplete_version_is_never_accepted(resources: Resources) -> None:
    for work, then in product(KilledJob, NextJob):
        assert find_faults(case_record(work, then, resources))


def test_a_job_that_was_killed_before_it_had_the_lock_changes_nothing() -> None:
    assert not find_faults(
        case_record(KilledJob.UPDATE, NextJob.NOTHING, one_serving(1), had_lock=False)
    )


def test_a_create_sent_after_the_delete_is_found_and_one_sent_before_is_not() -> None:
    deleted = case_record(KilledJob.PROVISION, NextJob.DELETE, GONE)
    deleted.requests = [TargetRequest(at=9.0, call="create", detail={})]
    assert not find_faults(deleted)

    deleted.requests = [TargetRequest(at=11.0, call="create", detail={})]
    assert find_faults(deleted) == ["create sent 1.00 s after the delete"]


def test_a_next_job_that_never_ends_is_found() -> None:
    stuck = case_record(KilledJob.UPDATE, NextJob.YOUNGER, one_serving(3))
    stuck.next_job_ended = 0

    assert find_faults(stuck) == ["the next job (younger) has not ended"]


@pytest.mark.parametrize(
    ("api", "answered", "right"), [(False, 11.0, [2, 3]), (False, 9.5, [3]), (True, 11.0, [3])]
)
def test_a_late_update_in_place_is_accepted_only_without_an_api(
    answered: float, right: list[int], *, api: bool
) -> None:
    accepted = []
    for version in (1, 2, 3):
        late = case_record(KilledJob.UPDATE, NextJob.YOUNGER, one_serving(version), api=api)
        late.killed = 9.0
        late.requests = [TargetRequest(at=8.0, call="update", detail={"answered": answered})]
        accepted += [] if find_faults(late) else [version]

    assert accepted == right
