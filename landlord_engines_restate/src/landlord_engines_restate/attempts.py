"""The attempt that a request of Restate's begins, out of its first bytes.

Restate tells each attempt how many came before it in vain. The SDK reads that and keeps it to itself,
so that it is read here too: a few bytes of the first message of Restate's service protocol
(https://github.com/restatedev/service-protocol; observed with its versions 5 and 6). Where they say
something else, nothing is known of the attempt.
"""

from collections.abc import Container, Iterator, MutableMapping
from contextvars import ContextVar
from typing import Any

import attrs

from landlord_engines_restate.server import App, Receive, Scope, Send

__all__ = ["Attempt", "current", "read_start", "with_attempts"]

_HEADER = 8
"""Bytes before a message: two of its type, which is 0 for the first, two of flags, four of its length."""

_ENTRIES = 3
_RETRIES = 7
"""Fields of the first message."""

_VARINT = 0
_DELIMITED = 2
"""How a field is written; there are no others in this message."""


@attrs.frozen
class Attempt:
    """One attempt to carry out an invocation.

    Attributes:
        entries: How many entries its journal had when it began.
        retries: How many attempts have failed since the last entry was added.
    """

    entries: int
    retries: int


_begun: ContextVar[list[Attempt]] = ContextVar("begun")
"""A place for the attempt, since the SDK reads a request in a task beside the handler's."""


def current() -> Attempt | None:
    """The attempt that this task carries out, if anything is known of it."""
    begun = _begun.get([])
    return begun[0] if begun else None


def with_attempts(app: App, services: Container[str]) -> App:
    """Have handlers of these services find their attempt in `current`."""

    async def answer(scope: Scope, receive: Receive, send: Send) -> None:
        parts = scope.get("path", "").rsplit("/", 2)
        if len(parts) < len(("invoke", "service", "handler")) or parts[-2] not in services:
            await app(scope, receive, send)
            return
        begun: list[Attempt] = []
        is_first = True

        async def read() -> MutableMapping[str, Any]:
            nonlocal is_first
            message = await receive()
            if is_first and (attempt := read_start(message.get("body", b""))) is not None:
                begun.append(attempt)
            is_first = False
            return message

        _begun.set(begun)

        await app(scope, read, send)

    return answer


def read_start(body: bytes) -> Attempt | None:
    """Read the attempt from a request's first bytes, if they are what they were so far."""
    if int.from_bytes(body[:2]) != 0 or len(body) < _HEADER:
        return None
    try:
        fields = dict(_numbers(body, _HEADER, _HEADER + int.from_bytes(body[4:_HEADER])))
    except (IndexError, ValueError):
        return None
    # A number that is 0 is not written.
    return Attempt(entries=fields.get(_ENTRIES, 0), retries=fields.get(_RETRIES, 0))


def _numbers(body: bytes, at: int, end: int) -> Iterator[tuple[int, int]]:
    """The numbers up to the last one that is of interest: fields come in the order of their tags."""
    while at < end and (tag := body[at]) >> 3 <= _RETRIES:
        value, at = _varint(body, at + 1)
        if tag & 7 == _VARINT:
            yield tag >> 3, value
        elif tag & 7 == _DELIMITED:
            at += value
        else:
            raise ValueError(tag)


def _varint(body: bytes, at: int) -> tuple[int, int]:
    value = shift = 0
    while True:
        byte = body[at]
        at += 1
        value |= (byte & 0x7F) << shift
        if byte < 0x80:  # noqa: PLR2004  # the highest bit says that more follows
            return value, at
        shift += 7
