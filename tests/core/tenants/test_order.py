"""Which of two jobs is superseded, for each operation, time of dispatch, kill and answer of Landlord."""

from datetime import UTC, datetime, timedelta
from itertools import product

import pytest

from landlord_engines_core.errors import Transient
from landlord_engines_core.tenants.order import Contender, is_superseded

NOW = datetime(2026, 1, 1, tzinfo=UTC)
HOUR = timedelta(hours=1)

NOT_DELETES = ("provision", "update")
LANDLORD_ANSWERS = (True, False, None)
"""Whether Landlord desires the tenant's resource; None stands for a worker without Landlord's API."""


class Landlord:
    """Landlord's API, which always gives one answer and counts the questions."""

    def __init__(self, *, answer: bool | None = None) -> None:
        self.answer = answer
        self.asked = 0

    async def __call__(self) -> bool | None:
        self.asked += 1
        return self.answer


def holder(
    operation: str, *, later: bool, killed: bool = False, forgotten: bool = False
) -> Contender:
    """The job that had the lock, dispatched before or after `job`."""
    at = NOW + HOUR if later else NOW - HOUR
    if forgotten:
        return Contender(operation=operation, before=at, killed=killed)
    return Contender(operation=operation, dispatched=at, before=at + HOUR, killed=killed)


def job(operation: str) -> Contender:
    return Contender(operation=operation, dispatched=NOW)


CLOCKS = [
    {"later": later, "forgotten": forgotten}
    for later, forgotten in product((True, False), repeat=2)
]


@pytest.mark.parametrize("answer", LANDLORD_ANSWERS)
@pytest.mark.parametrize("killed", [False, True])
@pytest.mark.parametrize("clock", CLOCKS)
@pytest.mark.parametrize(
    ("operation", "other_operation"), [*product(NOT_DELETES, NOT_DELETES), ("delete", "delete")]
)
async def test_of_two_jobs_of_a_kind_the_one_dispatched_last_wins_and_landlord_is_not_asked(
    operation: str,
    other_operation: str,
    clock: dict[str, bool],
    *,
    killed: bool,
    answer: bool | None,
) -> None:
    landlord = Landlord(answer=answer)

    gave_way = await is_superseded(
        job(operation),
        holder(other_operation, killed=killed, **clock),
        is_uuid=True,
        is_desired=landlord,
    )

    assert gave_way is (clock["later"] and not killed)
    assert landlord.asked == 0


@pytest.mark.parametrize("killed", [False, True])
@pytest.mark.parametrize("clock", CLOCKS)
@pytest.mark.parametrize("operation", NOT_DELETES)
async def test_a_job_that_meets_a_delete_continues_only_if_landlord_wants_the_tenant(
    operation: str, clock: dict[str, bool], *, killed: bool
) -> None:
    holder_job = holder("delete", killed=killed, **clock)

    for answer in (True, False):
        landlord = Landlord(answer=answer)
        gave_way = await is_superseded(
            job(operation), holder_job, is_uuid=True, is_desired=landlord
        )
        assert gave_way is (not answer)
        assert landlord.asked == 1


@pytest.mark.parametrize("killed", [False, True])
@pytest.mark.parametrize("clock", CLOCKS)
@pytest.mark.parametrize("operation", NOT_DELETES)
async def test_without_landlords_api_the_time_of_dispatch_decides_between_a_job_and_a_delete(
    operation: str, clock: dict[str, bool], *, killed: bool
) -> None:
    holder_job = holder("delete", killed=killed, **clock)

    gave_way = await is_superseded(
        job(operation), holder_job, is_uuid=True, is_desired=Landlord(answer=None)
    )

    assert gave_way is (clock["later"] and not killed)


@pytest.mark.parametrize("answer", LANDLORD_ANSWERS)
@pytest.mark.parametrize("killed", [False, True])
@pytest.mark.parametrize("clock", CLOCKS)
@pytest.mark.parametrize("other_operation", NOT_DELETES)
async def test_a_delete_is_superseded_only_by_a_later_job_that_landlord_wants(
    other_operation: str, clock: dict[str, bool], *, killed: bool, answer: bool | None
) -> None:
    landlord = Landlord(answer=answer)

    gave_way = await is_superseded(
        job("delete"),
        holder(other_operation, killed=killed, **clock),
        is_uuid=True,
        is_desired=landlord,
    )

    is_later = clock["later"] and not killed
    assert gave_way is (is_later and answer is True)
    assert landlord.asked == int(is_later)


@pytest.mark.parametrize("clock", CLOCKS)
@pytest.mark.parametrize(
    ("operation", "other_operation"), [*product((*NOT_DELETES, "delete"), repeat=2)]
)
async def test_of_a_tenant_without_a_uuid_the_job_dispatched_last_wins(
    operation: str, other_operation: str, clock: dict[str, bool]
) -> None:
    landlord = Landlord(answer=not clock["later"])

    gave_way = await is_superseded(
        job(operation), holder(other_operation, **clock), is_uuid=False, is_desired=landlord
    )

    assert gave_way is clock["later"]
    assert landlord.asked == 0


@pytest.mark.parametrize(
    ("holder_job", "gave_way"),
    [
        (Contender(operation="update", dispatched=NOW), False),
        (Contender(operation="update", before=NOW), True),
        (Contender(operation="update"), False),
    ],
    ids=["dispatched at once", "forgotten, and perhaps at once", "of which nothing is known"],
)
async def test_of_two_jobs_dispatched_together_one_wins_unless_it_is_forgotten(
    holder_job: Contender, *, gave_way: bool
) -> None:
    """The earliest possible time of a forgotten job may equal the other job's time."""
    assert (
        await is_superseded(job("update"), holder_job, is_uuid=True, is_desired=Landlord())
        is gave_way
    )


async def test_a_job_without_a_time_of_dispatch_is_never_superseded() -> None:
    unknown = Contender(operation="update")

    assert not await is_superseded(
        unknown, holder("update", later=True), is_uuid=True, is_desired=Landlord()
    )


async def test_without_an_answer_of_landlord_nothing_is_decided() -> None:
    async def raise_unavailable() -> bool | None:
        raise Transient("Landlord's API is away")

    with pytest.raises(Transient):
        await is_superseded(
            job("update"), holder("delete", later=False), is_uuid=True, is_desired=raise_unavailable
        )
