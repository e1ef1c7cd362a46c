import pytest

from landlord_engines_core.errors import Superseded
from landlord_engines_core.models import JobStart, Record, Transition
from landlord_engines_core.queueing import describe_holder, order_time, refuse_superseded
from landlord_engines_core.tenants.order import Contender

START = JobStart(operation="update", started_at="2026-01-01T00:00:00Z")


def end(execution_id: str) -> Transition:
    return Transition(
        execution_id=execution_id, operation="update", started_at="now", ended_at="now"
    )


def test_a_job_with_a_higher_number_was_dispatched_later() -> None:
    assert order_time(1) < order_time(2)
    assert order_time(7) == order_time(7)


@pytest.mark.parametrize(
    ("record", "has_ended", "operation", "killed"),
    [
        (Record().with_start("7", START), False, "update", False),
        (Record().with_start("7", START), True, "update", True),
        (Record().with_start("7", START).with_end(end("7")), True, "update", False),
        (Record(), True, "", True),
    ],
    ids=["running", "killed", "ended", "unknown"],
)
def test_a_holder_that_ended_without_an_end_in_the_record_was_killed(
    record: Record, operation: str, *, has_ended: bool, killed: bool
) -> None:
    holder = describe_holder(record, "7", dispatched=order_time(7), has_ended=has_ended)

    assert holder == Contender(operation=operation, dispatched=order_time(7), killed=killed)


def test_a_job_that_had_the_lock_may_not_read_once_another_has_it() -> None:
    record = Record().with_start("8", START).with_start("7", START)
    holder = describe_holder(record, "7", dispatched=order_time(7), has_ended=False)

    with pytest.raises(Superseded, match="another job than 8 has the tenant's lock"):
        refuse_superseded(record, "8", dispatched=order_time(8), holder=holder)


def test_a_job_without_the_lock_may_read_unless_the_holder_was_dispatched_later() -> None:
    record = Record().with_start("7", START)
    holder = describe_holder(record, "7", dispatched=order_time(7), has_ended=False)

    refuse_superseded(record, "8", dispatched=order_time(8), holder=holder)
    with pytest.raises(Superseded):
        refuse_superseded(record, "6", dispatched=order_time(6), holder=holder)
