"""What this worker counts, for Prometheus; the only door to prometheus_client.

Labels hold words out of fixed sets: no tenant, no execution id and no message ever becomes one. All
series with such labels are there from the start, at zero. Counting happens in the event loop's
thread, reading in any other.
"""

import math
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from functools import partial
from time import monotonic, perf_counter
from typing import Any

import attrs
from prometheus_client import (
    CollectorRegistry,
    Counter,
    Gauge,
    Histogram,
    Info,
    ProcessCollector,
    disable_created_metrics,
)
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, Metric
from prometheus_client.exposition import choose_encoder
from prometheus_client.registry import Collector

from landlord_engines_core.cache import Cache
from landlord_engines_core.errors import Held, InvalidJob, JobError, Transient
from landlord_engines_core.models import Operation, Outcome

__all__ = ["FailingJobs", "Metrics"]

_PREFIX = "landlord_worker_"

_BACKOFF = 30.0
"""Seconds until a backend tries a job again, at most, where the target named no pause."""

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
    "unknown": ("invalid",),
}
"""How a job of each operation can end; what a journal of a later version says is ``other``."""

_STEPS = ("resolve", "apply", "hold", "fail", "plan", "resync")
_BUCKETS = (0.005, 0.025, 0.1, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0, 60.0, 120.0, 300.0)
_KINDS: Mapping[type[JobError], str] = {
    Held: "held",
    Transient: "transient",
    InvalidJob: "invalid",
}


@attrs.define
class FailingJobs:
    """The jobs whose last attempt in this process failed in one way.

    Such a job is entered again after a pause. One of which nothing was heard for three of them was
    killed, or goes on in another worker: it counts no more, and is forgotten.

    Attributes:
        kind: The failure, and no special kind of it.
        limit: How many are remembered; the one heard of longest ago goes first.
    """

    kind: type[Held] | type[Transient]
    limit: int = 10_000
    _until: dict[str, float] = attrs.field(factory=dict, init=False)

    def __len__(self) -> int:
        now = monotonic()
        # The copy is one act of the interpreter: the event loop may write meanwhile.
        return sum(1 for until in list(self._until.values()) if until > now)

    def note(self, execution_id: str, error: BaseException | None) -> None:
        """Note how an attempt of this job's step has ended."""
        if self._until:
            self._until.pop(execution_id, None)
        if isinstance(error, Held | Transient) and type(error) is self.kind:
            now, pause = monotonic(), error.retry_after
            self._until[execution_id] = now + 3 * (_BACKOFF if pause is None else pause)
            while len(self._until) > self.limit or self._first() <= now:
                del self._until[next(iter(self._until))]

    def _first(self) -> float:
        return next(iter(self._until.values()), math.inf)


class Metrics:
    """The metrics of one worker, in a registry of their own.

    Attributes:
        in_flight: To be entered for as long as a job is carried out here.
    """

    def __init__(self) -> None:
        # They would double the number of series. The library leaves the function untyped.
        disable_created_metrics()  # type: ignore[no-untyped-call]
        self._registry = CollectorRegistry()
        ProcessCollector(registry=self._registry)
        self._jobs = self._count_jobs()
        self._failures = self._count_failures()
        self._steps = self._time_steps()
        self._lost = Counter(
            f"{_PREFIX}attempts_lost",
            "Attempts of jobs that began and never ended, since their worker was killed; counted by"
            " the worker that meets the job next.",
            registry=self._registry,
        )
        self._held, self._retried = FailingJobs(Held), FailingJobs(Transient)
        self._caches: dict[str, Cache[Any, Any]] = {}
        self._registry.register(_Caches(self._caches))
        gauge = self._gauge("jobs_in_flight", "Jobs that are being carried out here right now.")
        self.in_flight = gauge.track_inprogress()
        self._watch(
            "jobs_held",
            "Jobs whose last attempt in this process was held. One leaves with its next attempt"
            " here that is not, or when three hold intervals passed without any: it was killed, or"
            " goes on in another worker. At most 10000 are counted.",
            self._held.__len__,
        )
        self._watch(
            "jobs_retrying",
            "Jobs whose last attempt in this process failed in a way that may pass, and that wait for"
            " their next one. They leave as held jobs do. At most 10000 are counted.",
            self._retried.__len__,
        )

    def render(self, accept: str = "") -> tuple[bytes, str]:
        """Write all metrics down in the form that an ``Accept`` header asks for.

        Returns:
            The text, and its content type.
        """
        encoder, content_type = choose_encoder(accept)
        return encoder(self._registry), content_type

    def job_ended(self, operation: str, outcome: str) -> None:
        """Count a job that has ended."""
        ended = self._jobs.get((operation, outcome)) or self._jobs[operation, "other"]
        ended.inc()

    def body_refused(self) -> None:
        """Count a job of which nothing could be understood."""
        self._failures[InvalidJob].inc()
        self.job_ended("unknown", "invalid")

    @contextmanager
    def step(self, name: str, operation: str, execution_id: str) -> Iterator[None]:
        """Time one attempt of a step, and count how it fails."""
        since = perf_counter()
        failure: BaseException | None = None
        try:
            yield
        except BaseException as error:
            failure = error
            raise
        finally:
            self._steps[name].observe(perf_counter() - since)
            self._held.note(execution_id, failure)
            self._retried.note(execution_id, failure)
            if (failed := self._failures.get(type(failure))) is not None:
                failed.inc()
            if isinstance(failure, InvalidJob):
                # A journal may tell it in its backend's own words from here on.
                self.job_ended(operation, "invalid")

    def attempt_lost(self) -> None:
        """Count an attempt that began and never ended, since its worker was killed."""
        self._lost.inc()

    def watch_crash_loops(self, set_apart: Callable[[], float]) -> None:
        """Show how many jobs are set apart."""
        self._watch(
            "jobs_set_apart",
            "Jobs that wait, since the worker ended in the midst of them three times in a row or"
            " more. One leaves when it is tried again. At most 10000 are counted.",
            set_apart,
        )

    def watch_cache(self, name: str, cache: Cache[Any, Any]) -> None:
        """Show a cache of answers."""
        self._caches[name] = cache

    def watch_slots(
        self, limit: int, taken: Callable[[], float], waiting: Callable[[], float]
    ) -> None:
        """Show how many jobs act on targets, and how many wait to."""
        self._watch("slots", "How many jobs may act on targets at once.", lambda: limit)
        self._watch("slots_used", "Jobs that act on targets right now.", taken)
        self._watch("slots_waiting", "Jobs that wait for a slot to act on a target.", waiting)

    def watch_engine(
        self,
        states: tuple[Iterable[str], Callable[[], str]],
        registrations: tuple[Iterable[str], Callable[[], str]],
        seconds_left: Callable[[], float],
    ) -> None:
        """Show where the worker engine is on its way.

        Args:
            states: All states of the engine, and the current one.
            registrations: All states of its registration, and the current one.
            seconds_left: Until the drain is over; 0 where none is under way.
        """
        help_state = "1 for the state that the worker engine is in, 0 for the others."
        self._watch_word("state", help_state, *states)
        help_registration = "1 for what the backend is known to know of this worker, else 0."
        self._watch_word("registration", help_registration, *registrations)
        help_drain = "Seconds until the drain is over; 0 where none is under way."
        self._watch("drain_remaining_seconds", help_drain, seconds_left)

    def watch_targets(self, engines: Iterable[str], reached: Callable[[str], float]) -> None:
        """Show for each compute engine whether its target could be reached."""
        gauge = self._gauge(
            "target_reached",
            "1 where the compute engine's target answered when it was last asked, which is each"
            " minute; 0 where not, NaN before the first answer.",
            "compute_engine",
        )
        for name in engines:
            gauge.labels(name).set_function(partial(reached, name))

    def watch_loop(self, silent_for: Callable[[], float], tasks: Callable[[], float]) -> None:
        """Show how long ago the event loop was last seen running, and what it had to do then."""
        explained = (
            "Seconds since the event loop last showed that it runs, which it does each second."
        )
        self._watch("event_loop_heartbeat_age_seconds", explained, silent_for)
        self._watch(
            "loop_tasks", "Tasks in the event loop when it last showed that it runs.", tasks
        )

    def watch_log(self, dropped: Callable[[], float]) -> None:
        """Show how many log lines were dropped."""
        self._registry.register(_DroppedLines(dropped))

    def set_build(self, **versions: str) -> None:
        """Show what runs here: names and versions."""
        explained = "Always 1; the labels say what runs here."
        Info(f"{_PREFIX}build", explained, registry=self._registry).info(versions)

    def _count_jobs(self) -> Mapping[tuple[str, str], Counter]:
        counter = Counter(
            f"{_PREFIX}jobs",
            "Jobs that ended here, by operation and outcome. One whose end its backend did not take"
            " is counted again; one that its backend kills is not counted.",
            ("operation", "outcome"),
            registry=self._registry,
        )
        pairs = ((operation, one) for operation, known in _OUTCOMES.items() for one in known)
        return {pair: counter.labels(*pair) for pair in pairs}

    def _count_failures(self) -> Mapping[type[Any], Counter]:
        counter = Counter(
            f"{_PREFIX}attempt_failures",
            "Attempts of a step, and bodies, that failed, by kind.",
            ("kind",),
            registry=self._registry,
        )
        return {kind: counter.labels(word) for kind, word in _KINDS.items()}

    def _time_steps(self) -> Mapping[str, Histogram]:
        histogram = Histogram(
            f"{_PREFIX}step_duration_seconds",
            "How long each attempt of a step took, however it ended.",
            ("step",),
            buckets=_BUCKETS,
            registry=self._registry,
        )
        return {name: histogram.labels(name) for name in _STEPS}

    def _gauge(self, name: str, explained: str, *labels: str) -> Gauge:
        return Gauge(f"{_PREFIX}{name}", explained, labels, registry=self._registry)

    def _watch(self, name: str, explained: str, value: Callable[[], float]) -> None:
        self._gauge(name, explained).set_function(value)

    def _watch_word(
        self, name: str, explained: str, words: Iterable[str], current: Callable[[], str]
    ) -> None:
        gauge = self._gauge(name, explained, "state")
        for word in words:
            gauge.labels(word).set_function(partial(_is, current, word))


class _DroppedLines(Collector):
    """Reads the log's own number when it is asked."""

    def __init__(self, dropped: Callable[[], float]) -> None:
        self._dropped = dropped

    def collect(self) -> Iterator[Metric]:
        yield CounterMetricFamily(
            f"{_PREFIX}log_lines_dropped",
            "Log lines that standard error did not take: what reads it is too slow, or gone.",
            value=self._dropped(),
        )


class _Caches(Collector):
    """Reads the caches' own numbers when it is asked."""

    def __init__(self, caches: Mapping[str, Cache[Any, Any]]) -> None:
        self._caches = caches

    def collect(self) -> Iterator[Metric]:
        lookups = CounterMetricFamily(
            f"{_PREFIX}cache_lookups",
            "Lookups of what Landlord's API says: hit, miss (the API answered), stale (it failed, and"
            " an answer past its time was used), failed (there was none).",
            labels=("cache", "result"),
        )
        asking = GaugeMetricFamily(
            f"{_PREFIX}cache_fetches_in_flight",
            "Questions to Landlord's API that a cache waits for.",
            labels=("cache",),
        )
        entries = GaugeMetricFamily(
            f"{_PREFIX}cache_entries",
            "Answers of Landlord's API that are kept, also past their time; at most 20000 in each.",
            labels=("cache",),
        )
        for name, cache in list(self._caches.items()):
            lookups.add_metric((name, "hit"), cache.hits)
            lookups.add_metric((name, "miss"), cache.misses)
            lookups.add_metric((name, "stale"), cache.stale)
            lookups.add_metric((name, "failed"), cache.failed)
            asking.add_metric((name,), cache.asking)
            entries.add_metric((name,), cache.entries)
        yield lookups
        yield asking
        yield entries


def _is(current: Callable[[], str], word: str) -> float:
    return float(current() == word)
