import json
import tracemalloc
from collections.abc import AsyncIterator, Mapping

import pytest
from hypothesis import given, strategies as st

from landlord_engines_restate.admin import rows as rows_module
from landlord_engines_restate.admin.rows import BrokenRows, read_rows


async def in_pieces(text: str, size: int) -> AsyncIterator[bytes]:
    body = text.encode()
    for first in range(0, len(body), size):
        yield body[first : first + size]


async def read(text: str, size: int = 1000) -> list[Mapping[str, object]]:
    return [row async for row in read_rows(in_pieces(text, size))]


@given(
    st.lists(st.dictionaries(st.text(), st.none() | st.text() | st.integers())),
    st.integers(1, 40),
)
async def test_rows_are_read_from_pieces_of_any_size(
    rows: list[dict[str, object]], size: int
) -> None:
    compact = json.dumps({"rows": rows}, separators=(",", ":"), ensure_ascii=False)

    # A half surrogate pair has no UTF-8.
    assert (
        await read(compact.encode(errors="replace").decode(), size)
        == json.loads(compact.encode(errors="replace"))["rows"]
    )


async def test_rows_are_yielded_before_the_response_has_ended() -> None:
    async def endless() -> AsyncIterator[bytes]:
        yield b'{"rows":['
        while True:
            yield b'{"a":1},'

    rows = read_rows(endless())

    assert [await anext(rows) for _ in range(3)] == [{"a": 1}] * 3
    await rows.aclose()


async def test_the_memory_that_rows_take_does_not_grow_with_their_number() -> None:
    async def many(count: int) -> AsyncIterator[bytes]:
        yield b'{"rows":[{"n":0}'
        for _ in range(count):
            yield b',{"text":"' + b"x" * 990 + b'"}'
        yield b"]}"

    async def measure(count: int) -> int:
        tracemalloc.start()
        try:
            read_count = sum([1 async for _ in read_rows(many(count))])
            assert read_count == count + 1
            return tracemalloc.get_traced_memory()[1]
        finally:
            tracemalloc.stop()

    assert await measure(3000) < await measure(300) + 100_000


async def test_a_long_row_is_parsed_only_once_it_may_be_complete(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    positions: list[int] = []
    decode = json.JSONDecoder().raw_decode

    def count(text: str, position: int) -> tuple[object, int]:
        positions.append(position)
        return decode(text, position)

    monkeypatch.setattr(rows_module, "_decode", count)

    assert await read('{"rows":[{"a":"' + "x" * 1000 + '"}]}', 10) == [{"a": "x" * 1000}]
    assert len(positions) <= 3


@pytest.mark.parametrize("piece", [b"x", b"}"])
async def test_a_row_that_never_ends_is_an_error(
    piece: bytes, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(rows_module, "LONGEST_ROW", 100)

    async def endless() -> AsyncIterator[bytes]:
        yield b'{"rows":[{"a":1},{"a":"'
        for _ in range(1000):
            yield piece

    rows = read_rows(endless())

    assert await anext(rows) == {"a": 1}
    with pytest.raises(BrokenRows, match=r"^a row is too long$"):
        await anext(rows)


@pytest.mark.parametrize(
    "text",
    [
        "",
        '{"ro',
        "<html>hello</html>",
        '{"rows":[',
        '{"rows":[{"a":1}',
        '{"rows":[{"a":1},]}',
        "[]",
    ],
)
@pytest.mark.parametrize("size", [1, 1000])
async def test_a_response_that_is_no_complete_list_of_rows_is_an_error(
    text: str, size: int
) -> None:
    with pytest.raises(BrokenRows):
        await read(text, size)
