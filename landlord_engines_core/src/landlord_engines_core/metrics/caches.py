"""Metrics of the caches of Landlord's answers."""

from collections.abc import Iterator
from typing import Any

import attrs
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, Metric
from prometheus_client.registry import Collector

from landlord_engines_core.cache import Cache
from landlord_engines_core.metrics.families import PREFIX, Families

__all__ = ["CacheMetrics"]


@attrs.frozen(eq=False)
class CacheMetrics(Collector):
    """Collects the counts of the caches at each scrape."""

    families: Families
    _caches: dict[str, Cache[Any, Any]] = attrs.field(factory=dict, init=False)

    def __attrs_post_init__(self) -> None:
        self.families.register(self)

    def watch(self, name: str, cache: Cache[Any, Any]) -> None:
        """Show a cache of Landlord's answers."""
        self._caches[name] = cache

    def collect(self) -> Iterator[Metric]:
        """Yield the families of all caches."""
        lookups = CounterMetricFamily(
            f"{PREFIX}cache_lookups",
            "Lookups of answers of Landlord's API: hit, miss (the API answered), stale (the API failed,"
            " an expired answer was used), failed (no answer was available).",
            labels=("cache", "result"),
        )
        fetching = GaugeMetricFamily(
            f"{PREFIX}cache_fetches_in_flight",
            "Requests to Landlord's API that a cache waits for.",
            labels=("cache",),
        )
        entries = GaugeMetricFamily(
            f"{PREFIX}cache_entries",
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
