"""Metrics of engines: calls of their methods, their requests to targets, and whether targets answer."""

import re
from collections.abc import Callable, Iterable, Iterator
from contextlib import AbstractContextManager, contextmanager
from functools import partial
from time import perf_counter

from prometheus_client import Counter, Histogram

from landlord_engines_core.metrics.families import Families

__all__ = ["MAX_REQUESTS", "EngineMetrics"]

MAX_REQUESTS = 50
"""Names of requests that each compute engine may have; a label must not grow with tenants."""

# From a local socket to worker.step_timeout. Few: an engine has a series for each name and bucket.
_BUCKETS = (0.01, 0.1, 1.0, 10.0, 60.0)
_REQUEST = re.compile("[a-z][a-z0-9 _-]{0,39}")
_OTHER = "other"


class EngineMetrics:
    """Times calls and requests of engines, and shows whether targets answer."""

    def __init__(self, families: Families) -> None:
        self._families = families
        self._calls = families.summary(
            "engine_call_duration_seconds",
            "Duration of each call of an engine's method, whatever its result.",
            "kind",
            "engine",
            "method",
        )
        self._durations = families.histogram(
            "target_request_duration_seconds",
            "Duration of each request of a compute engine to its target, whatever its result.",
            "compute_engine",
            "request",
            buckets=_BUCKETS,
        )
        self._failures = families.counter(
            "target_request_failures",
            "Requests of a compute engine to its target that failed, refusals included.",
            "compute_engine",
            "request",
        )
        self._requests: dict[str, dict[str, tuple[Histogram, Counter]]] = {}

    def time_call(self, kind: str, name: str, method: str, seconds: float) -> None:
        """Note the duration of one call of an engine's method.

        Args:
            kind: ``worker engine`` or ``compute engine``.
            name: The engine's name.
            method: The method's name.
            seconds: The duration.
        """
        self._calls.labels(kind, name, method).observe(seconds)

    def request_timer(self, engine: str) -> Callable[[str], AbstractContextManager[None]]:
        """Return a context manager that times one request of a compute engine, by the request's name.

        It counts the request's failure too. After 50 names of the engine, others count as ``other``.
        """
        # The names are known only once they are used; this one exists from the start.
        self._requests[engine] = {_OTHER: self._request_series(engine, _OTHER)}
        return partial(self._time_request, engine)

    def watch_targets(self, engines: Iterable[str], reached: Callable[[str], float]) -> None:
        """Show for each compute engine whether its target answers."""
        gauge = self._families.gauge(
            "target_reached",
            "1 if the compute engine's target answered the last check, 0 if not, NaN before the first"
            " check. There is one check in a minute.",
            "compute_engine",
        )
        for name in engines:
            gauge.labels(name).set_function(partial(reached, name))

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

    def _find_request(self, engine: str, request: str) -> tuple[Histogram, Counter]:
        known = self._requests[engine]
        if request not in known:
            if len(known) > MAX_REQUESTS or not _REQUEST.fullmatch(request):
                return known[_OTHER]
            known[request] = self._request_series(engine, request)
        return known[request]

    def _request_series(self, engine: str, request: str) -> tuple[Histogram, Counter]:
        return self._durations.labels(engine, request), self._failures.labels(engine, request)
