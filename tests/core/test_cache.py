import asyncio

import attrs
import pytest

from landlord_engines_core.cache import Cache

FOR_EVER = 1e9


@attrs.define
class _CountingSource:
    """A source that returns the number of its calls. It waits for ``gate``, and fails on request."""

    gate: asyncio.Event | None = None
    error: BaseException | None = None
    calls: int = 0
    has_begun: asyncio.Event = attrs.field(factory=asyncio.Event)

    async def fetch(self) -> int:
        self.calls += 1
        self.has_begun.set()
        if self.gate is not None:
            await self.gate.wait()
        if self.error is not None:
            raise self.error
        return self.calls


async def _get(
    cache: Cache[str, int], key: str, source: _CountingSource, errors: list[Exception] | None = None
) -> int:
    stale = errors if errors is not None else []
    return await cache.get(key, source.fetch, tolerate=OSError, on_stale=stale.append)


async def test_within_its_time_an_answer_is_used_again() -> None:
    cache: Cache[str, int] = Cache(ttl=FOR_EVER)
    source = _CountingSource()

    answers = [await _get(cache, "a", source) for _ in range(3)]

    assert answers == [1, 1, 1]


async def test_without_a_time_to_live_each_call_asks() -> None:
    cache: Cache[str, int] = Cache(ttl=0)
    source = _CountingSource()

    answers = [await _get(cache, "a", source) for _ in range(3)]

    assert answers == [1, 2, 3]


async def test_each_key_has_its_own_answer() -> None:
    cache: Cache[str, int] = Cache(ttl=FOR_EVER)
    source = _CountingSource()

    answers = [await _get(cache, key, source) for key in ("a", "b", "a")]

    assert answers == [1, 2, 1]


async def test_concurrent_lookups_of_one_key_share_one_request() -> None:
    cache: Cache[str, int] = Cache(ttl=0)
    source = _CountingSource(gate=asyncio.Event())
    waiting = [asyncio.create_task(_get(cache, "a", source)) for _ in range(20)]
    await source.has_begun.wait()

    assert source.gate is not None
    source.gate.set()
    answers = await asyncio.gather(*waiting)

    assert set(answers) == {1}


async def test_a_cancelled_lookup_does_not_affect_the_others() -> None:
    cache: Cache[str, int] = Cache(ttl=FOR_EVER)
    source = _CountingSource(gate=asyncio.Event())
    first = asyncio.create_task(_get(cache, "a", source))
    await source.has_begun.wait()
    second = asyncio.create_task(_get(cache, "a", source))

    first.cancel()
    await asyncio.wait([first])
    assert source.gate is not None
    source.gate.set()

    assert await second == 1
    assert first.cancelled()


async def test_an_expired_answer_is_used_when_the_source_fails_and_this_is_reported() -> None:
    cache: Cache[str, int] = Cache(ttl=0)
    source = _CountingSource()
    errors: list[Exception] = []
    await _get(cache, "a", source)
    source.error = OSError("away")

    answer = await _get(cache, "a", source, errors)

    assert answer == 1
    assert errors == [source.error]


async def test_without_an_older_answer_the_failure_is_raised_and_not_kept() -> None:
    cache: Cache[str, int] = Cache(ttl=FOR_EVER)
    source = _CountingSource(error=OSError("away"))
    errors: list[Exception] = []

    with pytest.raises(OSError, match="away"):
        await _get(cache, "a", source, errors)
    source.error = None

    assert await _get(cache, "a", source) == 2
    assert errors == []


async def test_another_failure_than_the_one_named_is_raised_past_an_older_answer() -> None:
    cache: Cache[str, int] = Cache(ttl=0)
    source = _CountingSource()
    await _get(cache, "a", source)
    source.error = ValueError("broken")

    with pytest.raises(ValueError, match="broken"):
        await _get(cache, "a", source)


async def test_a_cancelled_request_cancels_its_waiters_and_the_next_lookup_asks_again() -> None:
    cache: Cache[str, int] = Cache(ttl=0)
    source = _CountingSource(error=asyncio.CancelledError())

    with pytest.raises(asyncio.CancelledError):
        await _get(cache, "a", source)
    source.error = None

    assert await _get(cache, "a", source) == 2


async def test_the_least_recently_used_entry_is_evicted_first() -> None:
    cache: Cache[str, int] = Cache(ttl=FOR_EVER, limit=2)
    source = _CountingSource()
    for key in ("a", "b", "a", "c"):
        await _get(cache, key, source)

    kept = await _get(cache, "a", source)
    lost = await _get(cache, "b", source)

    assert (kept, lost) == (1, 4)
