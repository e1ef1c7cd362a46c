"""The resync that is due some time after a job has acquired the lock."""

from landlord_engines_core.models import CompletedJob, FollowUp, Record

__all__ = ["plan_resync"]


def plan_resync(
    record: Record,
    *,
    tenant: str,
    execution_id: str,
    operation: str,
    after: float,
    preempted: bool = False,
    overrode_delete: bool = False,
) -> FollowUp | None:
    """Plan the resync that follows a job, in the form of the follow-up that a resync returns.

    Args:
        record: The tenant's record when the job acquired the lock.
        tenant: The tenant's key.
        execution_id: The job's id.
        operation: The job's operation.
        after: ``HostInfo.resync_after``.
        preempted: Whether the former holder did not end by itself.
        overrode_delete: Whether a job yielded to this ended one, and one of the two is a delete.

    Returns:
        The resync and its delay, or ``None`` if the host wants none.
    """
    if not after:
        return None
    ended = CompletedJob(
        tenant=tenant,
        execution_id=execution_id,
        operation=operation,
        removed=tuple(placement.bare() for placement in record.placements),
        preempted=preempted,
        overrode_delete=overrode_delete,
    )
    return FollowUp(after=after, ended=ended)
