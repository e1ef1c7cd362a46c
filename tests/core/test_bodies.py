from collections.abc import AsyncIterator

import pytest

from landlord_engines_core.bodies import LongBody, read_body


async def pieces() -> AsyncIterator[bytes]:
    for piece in (b"ab", b"", b"c"):
        yield piece


async def test_a_body_is_read_whole_up_to_its_bound() -> None:
    assert await read_body(pieces(), 3) == b"abc"


async def test_a_longer_body_is_not_read_to_its_end() -> None:
    chunks = pieces()

    with pytest.raises(LongBody, match="more than 1 bytes"):
        await read_body(chunks, 1)

    assert await anext(chunks) == b""
