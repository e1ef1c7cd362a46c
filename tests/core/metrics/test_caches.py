import asyncio
from collections.abc import Awaitable, Callable, Mapping

import pytest

from landlord_engines_core.cache import Cache
from landlord_engines_core.compute.mock import MockCompute
from landlord_engines_core.metrics import Metrics
from landlord_engines_core.metrics.families import Families
from landlord_test_target.in_memory import build_tenant_jobs
from landlord_test_target.scrape import read_samples


async def test_a_cache_shows_the_results_of_lookups_and_its_open_requests() -> None:
    metrics, gate = Metrics(), asyncio.Event()
    fresh, stale = Cache[str, int](ttl=60), Cache[str, int](ttl=0)
    metrics.caches.watch("engine", fresh)
    metrics.caches.watch("defaults", stale)

    async def fetch() -> int:
        await gate.wait()
        return 1

    async def fail() -> int:
        raise ConnectionError

    async def read_cache(
        cache: Cache[str, int], key: str, source: Callable[[], Awaitable[int]]
    ) -> int:
        return await cache.get(key, source, tolerate=ConnectionError, on_stale=lambda _: None)

    asking = [asyncio.create_task(read_cache(fresh, "a", fetch)) for _ in range(2)]
    await asyncio.sleep(0)
    open_questions = read_samples(metrics.families)['cache_fetches_in_flight{cache="engine"}']
    gate.set()
    await asyncio.gather(*asking, read_cache(stale, "a", fetch))
    await read_cache(fresh, "a", fetch)
    await read_cache(stale, "a", fail)
    with pytest.raises(ConnectionError):
        await read_cache(stale, "b", fail)

    assert open_questions == 1
    assert count_lookups(metrics.families, "engine") == {
        "hit": 1,
        "miss": 2,
        "stale": 0,
        "failed": 0,
    }
    assert count_lookups(metrics.families, "defaults") == {
        "hit": 0,
        "miss": 1,
        "stale": 1,
        "failed": 1,
    }


async def test_a_cache_counts_expired_answers_too() -> None:
    metrics, cache = Metrics(), Cache[str, int](ttl=0, limit=3)
    metrics.caches.watch("engine", cache)

    async def fetch() -> int:
        return 1

    entries = []
    for key in "aabcd":
        await cache.get(key, fetch, tolerate=ConnectionError, on_stale=lambda _: None)
        entries.append(read_samples(metrics.families)['cache_entries{cache="engine"}'])

    assert entries == [1, 1, 2, 3, 3]


def count_lookups(families: Families, cache: str) -> Mapping[str, float]:
    values = read_samples(families)
    results = ("hit", "miss", "stale", "failed")
    return {
        result: values[f'cache_lookups_total{{cache="{cache}",result="{result}"}}']
        for result in results
    }


def test_the_resolvers_caches_are_shown() -> None:
    families = build_tenant_jobs(("mock", MockCompute())).jobs.metrics.families

    assert count_lookups(families, "engine")["hit"] == 0
    assert count_lookups(families, "defaults")["hit"] == 0
