"""The times of a job that has the tenant's lock, for the metrics."""

from datetime import UTC, datetime

import attrs

from landlord_engines_core.metrics import JobDurations
from landlord_engines_core.models import Job, Record
from landlord_engines_core.tenants.results import Resolved

__all__ = ["JobTimes", "build_job_times"]


@attrs.frozen(kw_only=True)
class JobTimes:
    """Observes one job's wait for the lock, and its whole duration.

    Attributes:
        engine: The compute engine that the job uses; empty if it is unknown.
        started_at: RFC 3339 text from the record, so that it outlives this process.
        is_retry: Whether the job had the lock in an earlier attempt.
        durations: Receives them.
    """

    operation: str
    engine: str
    started_at: str
    is_retry: bool
    durations: JobDurations

    def observe_lock_wait(self) -> None:
        """Observe the wait that ends now, once in all attempts of the job."""
        if not self.is_retry:
            self.durations.observe_lock_wait(self.operation, self.engine, self._seconds())

    def observe_end(self) -> None:
        """Observe the duration of the job, which ends now."""
        self.durations.observe_job(self.operation, self.engine, self._seconds())

    def _seconds(self) -> float:
        elapsed = datetime.now(UTC) - datetime.fromisoformat(self.started_at)
        # The clock of the worker in which the job started may be ahead.
        return max(0.0, elapsed.total_seconds())


def build_job_times(
    job: Job,
    execution_id: str,
    resolved: Resolved,
    record: Record,
    durations: JobDurations,
    *,
    is_retry: bool,
) -> JobTimes:
    """Build the times of a job that has acquired the lock.

    Args:
        job: The job.
        execution_id: The backend's id of the job.
        resolved: The value of the job's first step.
        record: The record that the lock answered, with the job's start.
        durations: Receives them.
        is_retry: Whether the backend knows that this is a retry.
    """
    starts = (t.started_at for t in record.transitions if t.execution_id == execution_id)
    started_at = next(starts, resolved.started_at)
    placements = record.placements if resolved.placement is None else (resolved.placement,)
    return JobTimes(
        operation=job.operation,
        engine=placements[-1].engine if placements else "",
        started_at=started_at,
        # A backend without a journal resolves again at a retry, and the record keeps the first start.
        is_retry=is_retry or started_at != resolved.started_at,
        durations=durations,
    )
