"""Metrics of a worker for Prometheus; no other module imports prometheus_client.

Labels are words out of fixed sets, and never a tenant, an execution id or a message. All series
exist from the start, at zero. The event loop's thread writes them, and any other thread may read them.
"""

import math
import re
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import AbstractContextManager, contextmanager
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
    Summary,
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
"""Seconds until a backend tries a job again at most, unless the target named a pause."""

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
_BUCKETS = (0.005, 0.025, 0.1, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0, 60.0, 120.0, 300.0)
# From a local socket to worker.step_timeout. Few: an engine has a series for each name and bucket.
_REQUEST_BUCKETS = (0.01, 0.1, 1.0, 10.0, 60.0)
_REQUEST = re.compile("[a-z][a-z0-9 _-]{0,39}")
_OTHER = "other"
MAX_REQUESTS = 50
"""Names of requests that each compute engine may have; a label must not grow with tenants."""
_KINDS: Mapping[type[JobError], str] = {
    Held: "held",
    Transient: "transient",
    InvalidJob: "invalid",
}


@attrs.define
class FailingJobs:
    """Jobs whose last attempt in this process failed with one class of error.

    The backend enters such a job again after a pause. A job without an attempt for three pauses was
    killed, or continues in another worker. It is forgotten.

    Attributes:
        kind: The failure; subclasses of it do not count.
        limit: How many jobs are remembered; the oldest is forgotten first.
    """

    kind: type[Held] | type[Transient]
    limit: int = 10_000
    _until: dict[str, float] = attrs.field(factory=dict, init=False)

    def __len__(self) -> int:
        now = monotonic()
        # Copied in one step of the interpreter: the event loop may write meanwhile.
        return sum(1 for until in list(self._until.values()) if until > now)

    def note(self, execution_id: str, error: BaseException | None) -> None:
        """Note the failure of a step's attempt, or ``None``."""
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
    """Metrics of one worker, in a separate registry.

    Attributes:
        in_flight: Context to enter while a job runs in this worker.
    """

    def __init__(self) -> None:
        # The created metrics would double the number of series. The library has no type for it.
        disable_created_metrics()  # type: ignore[no-untyped-call]
        self._registry = CollectorRegistry()
        ProcessCollector(registry=self._registry)
        self._jobs = self._count_jobs()
        self._failures = self._count_failures()
        self._steps = self._time_steps()
        self._duration, self._failed = self._time_requests(), self._count_failed_requests()
        self._requests: dict[str, dict[str, tuple[Histogram, Counter]]] = {}
        self._calls = Summary(
            f"{_PREFIX}engine_call_duration_seconds",
            "Duration of each call of an engine's method, whatever its result.",
            ("kind", "engine", "method"),
            registry=self._registry,
        )
        self._lost = Counter(
            f"{_PREFIX}attempts_lost",
            "Attempts of jobs that began and never ended because their worker was killed. The worker"
            " that runs the next attempt counts them.",
            registry=self._registry,
        )
        self._held, self._retried = FailingJobs(Held), FailingJobs(Transient)
        self._caches: dict[str, Cache[Any, Any]] = {}
        self._registry.register(_Caches(self._caches))
        gauge = self._gauge("jobs_in_flight", "Jobs that run in this worker at this moment.")
        self.in_flight = gauge.track_inprogress()
        self._watch(
            "jobs_held",
            "Jobs whose last attempt in this worker was held. A job without an attempt for three hold"
            " intervals is not counted: it was killed, or continues in another worker. The maximum"
            " is 10000.",
            self._held.__len__,
        )
        self._watch(
            "jobs_retrying",
            "Jobs whose last attempt in this worker failed for a transient reason, and that wait for"
            " the next one. They are counted for as long as held jobs. The maximum is 10000.",
            self._retried.__len__,
        )

    def render(self, accept: str = "") -> tuple[bytes, str]:
        """Render all metrics in the format that an ``Accept`` header asks for.

        Returns:
            The text, and its content type.
        """
        encoder, content_type = choose_encoder(accept)
        return encoder(self._registry), content_type

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
            self._held.note(execution_id, failure)
            self._retried.note(execution_id, failure)
            if (counter := self._failures.get(type(failure))) is not None:
                counter.inc()
            if isinstance(failure, InvalidJob):
                # Counted here: the backend may end the job with another error.
                self.count_job(operation, "invalid")

    def request_timer(self, engine: str) -> Callable[[str], AbstractContextManager[None]]:
        """Return a context manager that times one request of a compute engine, by the request's name.

        It counts the request's failure too. After 50 names of the engine, others count as ``other``.
        """
        # The names are known only once they are used; this one exists from the start.
        self._requests[engine] = {_OTHER: self._request_series(engine, _OTHER)}
        return partial(self._time_request, engine)

    @contextmanager
    def _time_request(self, engine: str, request: str) -> Iterator[None]:
        duration, failures = self._find_request(engine, request)
        since = perf_counter()
        try:
            yield
        except Exception:
            failures.inc()
            raise
        finally:
            duration.observe(perf_counter() - since)

    def time_call(self, kind: str, name: str, method: str, seconds: float) -> None:
        """Note the duration of one call of an engine's method.

        Args:
            kind: ``worker engine`` or ``compute engine``.
            name: The engine's name.
            method: The method's name.
            seconds: The duration.
        """
        self._calls.labels(kind, name, method).observe(seconds)

    def count_lost_attempt(self) -> None:
        """Count an attempt that never ended because its worker was killed."""
        self._lost.inc()

    def watch_crash_loops(self, set_apart: Callable[[], float]) -> None:
        """Show how many jobs are set apart."""
        self._watch(
            "jobs_set_apart",
            "Jobs that wait because the worker ended during them three times in a row or more, until"
            " their next attempt. The maximum is 10000.",
            set_apart,
        )

    def watch_cache(self, name: str, cache: Cache[Any, Any]) -> None:
        """Show a cache of Landlord's answers."""
        self._caches[name] = cache

    def watch_slots(
        self, limit: int, taken: Callable[[], float], waiting: Callable[[], float]
    ) -> None:
        """Show how many slots there are, are used and are waited for."""
        self._watch("slots", "How many jobs may change targets at once.", lambda: limit)
        self._watch("slots_used", "Jobs that change targets at this moment.", taken)
        self._watch("slots_waiting", "Jobs that wait for a slot.", waiting)

    def watch_engine(
        self,
        states: tuple[Iterable[str], Callable[[], str]],
        registrations: tuple[Iterable[str], Callable[[], str]],
        seconds_left: Callable[[], float],
    ) -> None:
        """Show the states of the worker engine and of its registration.

        Args:
            states: All states of the engine, and a function for the current one.
            registrations: All states of the registration, and a function for the current one.
            seconds_left: Seconds until the drain is over; 0 without a drain.
        """
        help_state = "1 for the worker engine's current state, 0 for the others."
        self._watch_word("state", help_state, *states)
        help_registration = (
            "1 for the current state of this worker's registration, 0 for the others."
        )
        self._watch_word("registration", help_registration, *registrations)
        help_drain = "Seconds until the drain is over; 0 without a drain."
        self._watch("drain_remaining_seconds", help_drain, seconds_left)

    def watch_targets(self, engines: Iterable[str], reached: Callable[[str], float]) -> None:
        """Show for each compute engine whether its target answers."""
        gauge = self._gauge(
            "target_reached",
            "1 if the compute engine's target answered the last check, 0 if not, NaN before the first"
            " check. There is one check in a minute.",
            "compute_engine",
        )
        for name in engines:
            gauge.labels(name).set_function(partial(reached, name))

    def watch_loop(self, silent_for: Callable[[], float], tasks: Callable[[], float]) -> None:
        """Show the age of the event loop's last heartbeat, and its tasks at that time."""
        description = (
            "Seconds since the last heartbeat of the event loop, which beats once a second."
        )
        self._watch("event_loop_heartbeat_age_seconds", description, silent_for)
        self._watch("loop_tasks", "Tasks in the event loop at its last heartbeat.", tasks)

    def watch_log(self, dropped: Callable[[], float]) -> None:
        """Show how many log lines were dropped."""
        self._registry.register(_DroppedLines(dropped))

    def set_build(self, **versions: str) -> None:
        """Show names and versions of the software."""
        description = "Always 1. The labels are the versions of the software."
        Info(f"{_PREFIX}build", description, registry=self._registry).info(versions)

    def _count_jobs(self) -> Mapping[tuple[str, str], Counter]:
        counter = Counter(
            f"{_PREFIX}jobs",
            "Jobs that ended in this worker, by operation and outcome. A job whose end the backend did"
            " not accept counts again. A job that the backend kills does not count.",
            ("operation", "outcome"),
            registry=self._registry,
        )
        # All pairs from the start: Prometheus sees no increase in a series that begins at 1.
        pairs = ((operation, word) for operation, words in _OUTCOMES.items() for word in words)
        return {pair: counter.labels(*pair) for pair in pairs}

    def _find_request(self, engine: str, request: str) -> tuple[Histogram, Counter]:
        known = self._requests[engine]
        if request not in known:
            if len(known) > MAX_REQUESTS or not _REQUEST.fullmatch(request):
                return known[_OTHER]
            known[request] = self._request_series(engine, request)
        return known[request]

    def _request_series(self, engine: str, request: str) -> tuple[Histogram, Counter]:
        return self._duration.labels(engine, request), self._failed.labels(engine, request)

    def _time_requests(self) -> Histogram:
        return Histogram(
            f"{_PREFIX}target_request_duration_seconds",
            "Duration of each request of a compute engine to its target, whatever its result.",
            ("compute_engine", "request"),
            buckets=_REQUEST_BUCKETS,
            registry=self._registry,
        )

    def _count_failed_requests(self) -> Counter:
        return Counter(
            f"{_PREFIX}target_request_failures",
            "Requests of a compute engine to its target that failed, refusals included.",
            ("compute_engine", "request"),
            registry=self._registry,
        )

    def _count_failures(self) -> Mapping[type[Any], Counter]:
        counter = Counter(
            f"{_PREFIX}attempt_failures",
            "Failed attempts of a step, and refused bodies, by kind of failure.",
            ("kind",),
            registry=self._registry,
        )
        return {kind: counter.labels(word) for kind, word in _KINDS.items()}

    def _time_steps(self) -> Mapping[str, Histogram]:
        histogram = Histogram(
            f"{_PREFIX}step_duration_seconds",
            "Duration of each attempt of a step, whatever its result.",
            ("step",),
            buckets=_BUCKETS,
            registry=self._registry,
        )
        return {name: histogram.labels(name) for name in _STEPS}

    def _gauge(self, name: str, description: str, *labels: str) -> Gauge:
        return Gauge(f"{_PREFIX}{name}", description, labels, registry=self._registry)

    def _watch(self, name: str, description: str, value: Callable[[], float]) -> None:
        self._gauge(name, description).set_function(value)

    def _watch_word(
        self, name: str, description: str, words: Iterable[str], current: Callable[[], str]
    ) -> None:
        gauge = self._gauge(name, description, "state")
        for word in words:
            gauge.labels(word).set_function(partial(_is, current, word))


class _DroppedLines(Collector):
    """Collector of the log's counter."""

    def __init__(self, dropped: Callable[[], float]) -> None:
        self._dropped = dropped

    def collect(self) -> Iterator[Metric]:
        yield CounterMetricFamily(
            f"{_PREFIX}log_lines_dropped",
            "Log lines that standard error did not accept because its reader is too slow, or has ended.",
            value=self._dropped(),
        )


class _Caches(Collector):
    """Collector of the caches' counters."""

    def __init__(self, caches: Mapping[str, Cache[Any, Any]]) -> None:
        self._caches = caches

    def collect(self) -> Iterator[Metric]:
        lookups = CounterMetricFamily(
            f"{_PREFIX}cache_lookups",
            "Lookups of answers of Landlord's API: hit, miss (the API answered), stale (the API failed,"
            " an expired answer was used), failed (no answer was available).",
            labels=("cache", "result"),
        )
        fetching = GaugeMetricFamily(
            f"{_PREFIX}cache_fetches_in_flight",
            "Requests to Landlord's API that a cache waits for.",
            labels=("cache",),
        )
        entries = GaugeMetricFamily(
            f"{_PREFIX}cache_entries",
            "Answers of Landlord's API in a cache, expired ones included. The maximum is 20000.",
            labels=("cache",),
        )
        for name, cache in list(self._caches.items()):
            lookups.add_metric((name, "hit"), cache.hits)
            lookups.add_metric((name, "miss"), cache.misses)
            lookups.add_metric((name, "stale"), cache.stale)
            lookups.add_metric((name, "failed"), cache.failed)
            fetching.add_metric((name,), cache.fetching)
            entries.add_metric((name,), cache.entries)
        yield lookups
        yield fetching
        yield entries


def _is(current: Callable[[], str], word: str) -> float:
    return float(current() == word)
