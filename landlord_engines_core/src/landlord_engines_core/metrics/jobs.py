"""Metrics of jobs: how they ended, their steps and failures, and those that wait for another attempt."""

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from time import perf_counter
from typing import Any

from prometheus_client import Counter, Histogram

from landlord_engines_core.errors import Held, InvalidJob, JobError, Transient
from landlord_engines_core.metrics.durations import JobDurations
from landlord_engines_core.metrics.failing_jobs import FailingJobs
from landlord_engines_core.metrics.families import Families
from landlord_engines_core.models import Operation, Outcome

__all__ = ["JobMetrics"]

_MADE = (Outcome.CREATED, Outcome.UPDATED, Outcome.UNCHANGED)
_OUTCOMES: Mapping[str, tuple[str, ...]] = {
    Operation.PROVISION: (*_MADE, "superseded", "invalid", "other"),
    Operation.UPDATE: (*_MADE, "superseded", "invalid", "other"),
    Operation.DELETE: (Outcome.DELETED, Outcome.ABSENT, "superseded", "invalid", "other"),
    Operation.PLAN: ("provision", "update", "nothing", "superseded", "invalid", "other"),
    Operation.RESYNC: (
        *_MADE,
        Outcome.DELETED,
        Outcome.ABSENT,
        Outcome.ROLLED_BACK,
        Outcome.REFUSED,
        "superseded",
        "other",
    ),
    # A body that is no job has no operation either.
    "unknown": ("invalid",),
}
"""The outcomes of each operation; ``other`` is a word that a later version wrote into a journal."""

_STEPS = ("resolve", "apply", "hold", "fail", "plan", "resync")
# From a step that changes nothing, in milliseconds, to the default worker.step_timeout.
_STEP_BUCKETS = (0.005, 0.025, 0.1, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0, 60.0, 120.0, 300.0)
_KINDS: Mapping[type[JobError], str] = {
    Held: "held",
    Transient: "transient",
    InvalidJob: "invalid",
}


class JobMetrics:
    """Counts jobs and their failures, and times their steps.

    Attributes:
        families: The registry.
        durations: Durations of whole jobs.
        in_flight: Context to enter while a job runs in this worker.
    """

    def __init__(self, families: Families) -> None:
        self.families = families
        self.durations = JobDurations(families)
        self._jobs = _create_counters(families)
        self._failures = _create_failures(families)
        self._steps = _create_steps(families)
        self._lost = families.counter(
            "attempts_lost",
            "Attempts of jobs that began and never ended because their worker was killed. The worker"
            " that runs the next attempt counts them.",
        )
        self._held, self._retried = FailingJobs(Held), FailingJobs(Transient)
        gauge = families.gauge("jobs_in_flight", "Jobs that run in this worker at this moment.")
        self.in_flight = gauge.track_inprogress()
        self._watch_failing_jobs()

    def count_job(self, operation: str, outcome: str) -> None:
        """Count a job that has ended."""
        counter = self._jobs.get((operation, outcome)) or self._jobs[operation, "other"]
        counter.inc()

    def count_refused_body(self) -> None:
        """Count a body that is no job."""
        self._failures[InvalidJob].inc()
        self.count_job("unknown", "invalid")

    @contextmanager
    def step(self, name: str, operation: str, execution_id: str) -> Iterator[None]:
        """Time one attempt of a step, and count its failure."""
        since = perf_counter()
        failure: BaseException | None = None
        try:
            yield
        except BaseException as error:
            failure = error
            raise
        finally:
            self._steps[name].observe(perf_counter() - since)
            self._held.note(execution_id, name, failure)
            self._retried.note(execution_id, name, failure)
            if (counter := self._failures.get(type(failure))) is not None:
                counter.inc()
            if isinstance(failure, InvalidJob):
                # Counted here: the backend may end the job with another error.
                self.count_job(operation, "invalid")

    def count_lost_attempt(self) -> None:
        """Count an attempt that never ended because its worker was killed."""
        self._lost.inc()

    def watch_crash_loops(self, set_apart: Callable[[], float]) -> None:
        """Show how many jobs are set apart."""
        self.families.watch(
            "jobs_set_apart",
            "Jobs that wait because the worker ended during them three times in a row or more, until"
            " their next attempt. The maximum is 10000.",
            set_apart,
        )

    def _watch_failing_jobs(self) -> None:
        watch = self.families.watch
        watch(
            "jobs_held",
            "Jobs whose last attempt in this worker was held. A job without an attempt for three hold"
            " intervals is not counted: it was killed, or continues in another worker. The maximum"
            " is 10000.",
            self._held.__len__,
        )
        watch(
            "oldest_held_job_age_seconds",
            "Seconds since this worker held the job for the first time that it has held for longest; 0"
            " without a held job.",
            self._held.oldest_age,
        )
        watch(
            "jobs_retrying",
            "Jobs whose last attempt in this worker failed for a transient reason, and that wait for"
            " the next one. They are counted for as long as held jobs. The maximum is 10000.",
            self._retried.__len__,
        )


def _create_counters(families: Families) -> Mapping[tuple[str, str], Counter]:
    counter = families.counter(
        "jobs",
        "Jobs that ended in this worker, by operation and outcome. A job whose end the backend did"
        " not accept counts again. A job that the backend kills does not count.",
        "operation",
        "outcome",
    )
    # All pairs from the start: Prometheus sees no increase in a series that begins at 1.
    pairs = ((operation, word) for operation, words in _OUTCOMES.items() for word in words)
    return {pair: counter.labels(*pair) for pair in pairs}


def _create_failures(families: Families) -> Mapping[type[Any], Counter]:
    counter = families.counter(
        "attempt_failures",
        "Failed attempts of a step, and refused bodies, by kind of failure.",
        "kind",
    )
    return {kind: counter.labels(word) for kind, word in _KINDS.items()}


def _create_steps(families: Families) -> Mapping[str, Histogram]:
    histogram = families.histogram(
        "step_duration_seconds",
        "Duration of each attempt of a step, whatever its result.",
        "step",
        buckets=_STEP_BUCKETS,
    )
    return {name: histogram.labels(name) for name in _STEPS}
