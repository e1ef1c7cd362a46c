"""Durations of whole jobs, over all their attempts."""

from collections.abc import Iterable
from itertools import product

from landlord_engines_core.metrics.families import Families
from landlord_engines_core.models import Operation

__all__ = ["JobDurations"]

# From a job that changes nothing to one that waits for its target for an hour.
_DURATION_BUCKETS = (0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0, 60.0, 300.0, 900.0, 3600.0)
_WAIT_BUCKETS = (0.05, 0.1, 0.25, 0.5, 1.0, 5.0, 15.0, 60.0, 300.0, 900.0)
_LOCKING = (Operation.PROVISION, Operation.UPDATE, Operation.DELETE)
"""The operations whose jobs acquire the tenant's lock; a resync has it only while no job has it."""


class JobDurations:
    """Observes how long jobs take, and how long they wait for the tenant's lock."""

    def __init__(self, families: Families) -> None:
        self._engines: set[str] = set()
        self._durations = families.histogram(
            "job_duration_seconds",
            "Duration of each job that had the tenant's lock, from its resolve step to its end, over all"
            " retries and all workers.",
            "operation",
            "compute_engine",
            buckets=_DURATION_BUCKETS,
        )
        self._lock_waits = families.histogram(
            "job_lock_wait_seconds",
            "Duration of each job's wait for the tenant's lock, from its resolve step.",
            "operation",
            "compute_engine",
            buckets=_WAIT_BUCKETS,
        )

    def watch_engines(self, engines: Iterable[str]) -> None:
        """Show the durations of jobs on these compute engines from the start."""
        self._engines.update(engines)
        for operation, engine in product(_LOCKING, self._engines):
            self._durations.labels(operation, engine)
            self._lock_waits.labels(operation, engine)

    def observe_job(self, operation: str, engine: str, seconds: float) -> None:
        """Observe how long a job took.

        Args:
            operation: The job's operation.
            engine: The compute engine, or empty.
            seconds: The duration.
        """
        self._durations.labels(operation, self._label(engine)).observe(seconds)

    def observe_lock_wait(self, operation: str, engine: str, seconds: float) -> None:
        """Observe how long a job waited for the tenant's lock; the arguments are those of `observe_job`."""
        self._lock_waits.labels(operation, self._label(engine)).observe(seconds)

    def _label(self, engine: str) -> str:
        if not engine:
            return "none"
        # A tenant's record may name an engine that the settings no longer have.
        return engine if engine in self._engines else "other"
