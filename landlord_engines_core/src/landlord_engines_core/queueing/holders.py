"""The job that has the tenant's lock, as another job of the tenant sees it."""

from datetime import UTC, datetime, timedelta

from landlord_engines_core.errors import Superseded
from landlord_engines_core.models import Record
from landlord_engines_core.tenants.order import Contender

__all__ = ["describe_holder", "order_time", "refuse_superseded"]


def order_time(number: int) -> datetime:
    """Turn a number that rises with each dispatch into a time of dispatch.

    A backend that numbers jobs needs no clock, and two jobs never have the same time.
    """
    return datetime.fromtimestamp(0, UTC) + timedelta(seconds=number)


def describe_holder(
    record: Record, execution_id: str, *, dispatched: datetime, has_ended: bool
) -> Contender:
    """Describe the job that acquired the lock last.

    Args:
        record: The tenant's record.
        execution_id: The job's id.
        dispatched: When the job was dispatched; see `order_time`.
        has_ended: Whether the backend shows the job as ended, with any result.
    """
    operations = (
        transition.operation
        for transition in record.transitions
        if transition.execution_id == execution_id
    )
    return Contender(
        operation=next(operations, ""),
        dispatched=dispatched,
        # A job that has ended without an end in the record was killed.
        killed=has_ended and not record.has_ended(execution_id),
    )


def refuse_superseded(
    record: Record, execution_id: str, *, dispatched: datetime, holder: Contender
) -> None:
    """Refuse a job that the holder of the lock has superseded.

    `Steps.read_record` and `Steps.complete` need this. A job that does not have the lock yet may read the
    record, unless the holder was dispatched later.

    Args:
        record: The tenant's record.
        execution_id: The id of the job that reads or completes.
        dispatched: When that job was dispatched.
        holder: The other job, which has the lock.

    Raises:
        Superseded: The job had the lock already, or the holder was dispatched later.
    """
    had_lock = any(entry.execution_id == execution_id for entry in record.transitions)
    if had_lock or holder.is_later_than(Contender(operation="", dispatched=dispatched)):
        raise Superseded(f"another job than {execution_id} has the tenant's lock")
