"""Plans the resync of a job: a check of its tenant, some time after the job acquired the lock."""

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
    """Plan the first resync of a job.

    The result is a follow-up: the seconds until the resync is due, and the facts that it needs. If
    another resync is due later, the resync itself returns the next follow-up.

    Args:
        record: The tenant's record when the job acquired the lock.
        tenant: The tenant's id.
        execution_id: The job's id.
        operation: The job's operation.
        after: ``HostInfo.resync_after``.
        preempted: Whether the former holder did not end by itself.
        overrode_delete: Whether another job was superseded by this one, which has ended, and one
            of the two is a delete.

    Returns:
        The resync and its delay in seconds, or ``None`` if the host wants none.
    """
    if not after:
        return None
    ended = CompletedJob(
        tenant=tenant,
        execution_id=execution_id,
        operation=operation,
        # The resync looks for leftover resources at these placements, and needs no resource ids.
        removed=tuple(placement.bare() for placement in record.placements),
        preempted=preempted,
        overrode_delete=overrode_delete,
    )
    return FollowUp(after=after, ended=ended)
