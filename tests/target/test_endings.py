"""The cases of one seed are always the same, and the judge finds each kind of fault."""

from itertools import product

import attrs
import pytest

from landlord_test_target.endings.docker_wire import MOMENTS
from landlord_test_target.endings.ground import Asked, Holds
from landlord_test_target.endings.judge import findings
from landlord_test_target.endings.plan import Case, Then, Times, Work, freezes, plan
from landlord_test_target.endings.story import Story

TIMES = Times(step_timeout=20)

GONE = Holds(count=0, serving=0, running=0)


def serving(version: int) -> Holds:
    return Holds(count=1, serving=version, running=1)


def story(work: Work, then: Then, holds: Holds, *, api: bool = True, took: bool = True) -> Story:
    (drawn,) = plan(1, 1, TIMES, MOMENTS)
    case: Case = attrs.evolve(drawn, work=work, then=then, younger=3)
    return Story(case=case, api=api, took=took, ended=10.0, holds=holds)


def test_a_seed_gives_the_same_cases_each_time() -> None:
    cases = plan(7, 40, TIMES, MOMENTS)

    assert cases == plan(7, 40, TIMES, MOMENTS)
    assert cases != plan(8, 40, TIMES, MOMENTS)
    assert freezes(7, 3, TIMES) == freezes(7, 3, TIMES)


def test_forty_cases_combine_each_operation_with_each_next_job_and_delay_each_call() -> None:
    cases = plan(7, 40, TIMES, MOMENTS)

    assert {(case.work, case.then) for case in cases} == set(product(Work, Then))
    late = {(delay.call, delay.moment) for case in cases for delay in case.delays}
    assert late == {call for calls in MOMENTS.values() for call in calls}
    assert max(delay.seconds for case in cases for delay in case.delays) > TIMES.step_timeout


@pytest.mark.parametrize(
    ("work", "then", "api", "right"),
    [
        (Work.UPDATE, Then.DELETE, True, [GONE]),
        (Work.SICK, Then.YOUNGER, True, [serving(3)]),
        (Work.UPDATE, Then.NOTHING, True, [serving(2)]),
        (Work.UPDATE, Then.NOTHING, False, [serving(1), serving(2)]),
        (Work.LATE, Then.NOTHING, True, [serving(1)]),
        (Work.LATE, Then.NOTHING, False, [serving(1)]),
        (Work.PROVISION, Then.NOTHING, True, [serving(1)]),
        (Work.PROVISION, Then.NOTHING, False, [GONE, serving(1)]),
    ],
)
def test_only_the_expected_versions_of_a_case_are_accepted(
    work: Work, then: Then, right: list[Holds], *, api: bool
) -> None:
    ends = [GONE, *map(serving, (1, 2, 3))]

    assert [end for end in ends if not findings(story(work, then, end, api=api))] == right


@pytest.mark.parametrize(
    "holds", [Holds(count=2, serving=0, running=1), Holds(count=1, serving=0, running=1)]
)
def test_an_incomplete_version_is_never_accepted(holds: Holds) -> None:
    for work, then in product(Work, Then):
        assert findings(story(work, then, holds))


def test_a_job_that_was_killed_before_it_had_the_lock_changes_nothing() -> None:
    assert not findings(story(Work.UPDATE, Then.NOTHING, serving(1), took=False))


def test_a_create_sent_after_the_delete_is_found_and_one_sent_before_is_not() -> None:
    deleted = story(Work.PROVISION, Then.DELETE, GONE)
    deleted.asked = [Asked(at=9.0, call="create", detail={})]
    assert not findings(deleted)

    deleted.asked = [Asked(at=11.0, call="create", detail={})]
    assert findings(deleted) == ["asked to create 1.00 s after the delete"]


def test_a_next_job_that_never_ends_is_found() -> None:
    stuck = story(Work.UPDATE, Then.YOUNGER, serving(3))
    stuck.ended = 0

    assert findings(stuck) == ["what followed (younger) has not ended"]


@pytest.mark.parametrize(
    ("api", "answered", "right"), [(False, 11.0, [2, 3]), (False, 9.5, [3]), (True, 11.0, [3])]
)
def test_a_late_update_in_place_is_accepted_only_without_an_api(
    answered: float, right: list[int], *, api: bool
) -> None:
    ends = []
    for version in (1, 2, 3):
        late = story(Work.UPDATE, Then.YOUNGER, serving(version), api=api)
        late.killed = 9.0
        late.asked = [Asked(at=8.0, call="update", detail={"answered": answered})]
        ends += [] if findings(late) else [version]

    assert ends == right
