"""Families of metrics in one registry, with the prefix of all names."""

from collections.abc import Callable, Iterable, Sequence
from functools import partial

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
from prometheus_client.exposition import choose_encoder
from prometheus_client.registry import Collector

__all__ = ["PREFIX", "Families"]

PREFIX = "landlord_worker_"


class Families:
    """Creates families of metrics, and renders all of them."""

    def __init__(self) -> None:
        # The created metrics would double the number of series. The library has no type for it.
        disable_created_metrics()  # type: ignore[no-untyped-call]
        self._registry = CollectorRegistry()
        ProcessCollector(registry=self._registry)

    def render(self, accept: str = "") -> tuple[bytes, str]:
        """Render all metrics in the format that an ``Accept`` header asks for.

        Returns:
            The text, and its content type.
        """
        encoder, content_type = choose_encoder(accept)
        return encoder(self._registry), content_type

    def counter(self, name: str, description: str, *labels: str) -> Counter:
        """Create a counter; Prometheus' format appends ``_total`` to its name."""
        return Counter(PREFIX + name, description, labels, registry=self._registry)

    def gauge(self, name: str, description: str, *labels: str) -> Gauge:
        """Create a gauge."""
        return Gauge(PREFIX + name, description, labels, registry=self._registry)

    def summary(self, name: str, description: str, *labels: str) -> Summary:
        """Create a summary."""
        return Summary(PREFIX + name, description, labels, registry=self._registry)

    def histogram(
        self, name: str, description: str, *labels: str, buckets: Sequence[float]
    ) -> Histogram:
        """Create a histogram with these upper bounds."""
        return Histogram(
            PREFIX + name, description, labels, buckets=buckets, registry=self._registry
        )

    def info(self, name: str, description: str, **values: str) -> None:
        """Create a metric whose value is always 1, and whose labels are the information."""
        Info(PREFIX + name, description, registry=self._registry).info(values)

    def watch(self, name: str, description: str, value: Callable[[], float]) -> None:
        """Create a gauge that reads its value at each scrape."""
        self.gauge(name, description).set_function(value)

    def watch_state(
        self, name: str, description: str, states: Iterable[str], current: Callable[[], str]
    ) -> None:
        """Create a gauge that is 1 for the current state at each scrape, and 0 for the others."""
        gauge = self.gauge(name, description, "state")
        for state in states:
            gauge.labels(state).set_function(partial(_is_current, current, state))

    def register(self, collector: Collector) -> None:
        """Register a collector, which creates its families at each scrape."""
        self._registry.register(collector)


def _is_current(current: Callable[[], str], state: str) -> float:
    return float(current() == state)
