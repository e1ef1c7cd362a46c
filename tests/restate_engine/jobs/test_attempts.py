import asyncio
from collections.abc import MutableMapping
from typing import Any

import pytest

from landlord_engines_restate.endpoint.server import Receive, Scope, Send
from landlord_engines_restate.jobs.attempts import (
    Attempt,
    current_attempt,
    read_start,
    with_attempts,
)

FIRST = (
    b"\x00\x00\x00\x00\x00\x00\x00S\n\x18\xab\xa8\xe2\xb2\xc6.\x00\xcbuTYhi7\x7f\x14\x8aW:\xd37\xbd\x8dy"
    b"\x12&inv_1hqzdwQOfC1J3HmQu3RjKFoGybvBtup4d7\x18\x01(\x01@\x01H\x8c\xd1\xdb\xfc\xdd\xd3\x87\xc1\xa4\x01"
    b"\x04\x00\x00\x00\x00\x00\x00\xbd"
)
FIFTH = (
    b"\x00\x00\x00\x00\x00\x00\x00V\n\x18\xab\xa8\xe2\xb2\xc6.\x00\xcbuTYhi7\x7f\x14\x8aW:\xd37\xbd\x8dy"
    b"\x12&inv_1hqzdwQOfC1J3HmQu3RjKFoGybvBtup4d7\x18\x02(\x018\x04@\xc6\x01H\x8c\xd1\xdb\xfc\xdd\xd3\x87\xc1\xa4\x01"
    b"\x04\x00\x00\x00\x00\x00\x00\xbd"
)
"""Requests that restate-server 1.7.12 sent."""


def test_the_attempt_is_read_from_what_restate_sends() -> None:
    assert read_start(FIRST) == Attempt(entries=1, retries=0)
    assert read_start(FIFTH) == Attempt(entries=2, retries=4)


def test_a_number_of_more_than_one_byte_is_read_whole() -> None:
    longer = FIFTH.replace(b"V\n", b"W\n", 1).replace(b"8\x04", b"8\xc8\x01", 1)

    assert read_start(longer) == Attempt(entries=2, retries=200)


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"\x00\x00",
        b"\x04\x00" + FIRST[2:],
        FIRST[:40],
        b"\x00\x00\x00\x00\x00\x00\x00\x02\x09\x01",
    ],
    ids=["nothing", "no header", "another message", "cut short", "another kind of field"],
)
def test_other_messages_contain_no_attempt(body: bytes) -> None:
    assert read_start(body) is None


async def attempt_of(path: str, *chunks: bytes) -> Attempt | None:
    """Return the attempt that a handler finds; as in the SDK, another task reads the request."""
    seen: list[Attempt | None] = []
    messages = [{"type": "http.request", "body": chunk} for chunk in chunks]
    messages.append({"type": "http.disconnect"})

    async def receive() -> MutableMapping[str, Any]:
        return messages.pop(0)

    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        _ = scope, send
        while messages:
            await asyncio.create_task(receive())  # type: ignore[arg-type]  # it is a coroutine
        seen.append(current_attempt())

    async def send(message: MutableMapping[str, Any]) -> None:
        raise AssertionError(message)

    await with_attempts(app, {"Jobs"})({"type": "http", "path": path}, receive, send)
    (attempt,) = seen
    return attempt


async def test_a_handler_finds_the_attempt_of_its_own_request() -> None:
    attempts_read = await asyncio.gather(
        attempt_of("/invoke/Jobs/execute", FIFTH, FIRST),
        attempt_of("/behind/a/path/invoke/Jobs/execute", FIRST),
        attempt_of("/invoke/Jobs/execute", b"else"),
        attempt_of("/invoke/Tenant/acquire", FIFTH),
        attempt_of("/discover", FIFTH),
    )

    assert list(attempts_read) == [
        Attempt(entries=2, retries=4),
        Attempt(entries=1, retries=0),
        None,
        None,
        None,
    ]
    assert current_attempt() is None
