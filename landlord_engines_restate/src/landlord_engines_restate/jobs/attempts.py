"""The number of an attempt, read from the first bytes of Restate's request.

Restate sends how many attempts failed before this one. The SDK reads that number and does not pass it
on. So this module reads it too, from the first message of Restate's service protocol
(https://github.com/restatedev/service-protocol; observed with its versions 5 and 6). A message of
another form yields no attempt.
"""

from collections.abc import Container, Iterator, MutableMapping
from contextvars import ContextVar
from typing import Any

import attrs

from landlord_engines_restate.endpoint.server import App, Receive, Scope, Send

__all__ = ["Attempt", "current_attempt", "read_start", "with_attempts"]

_HEADER = 8
"""Length of a message's header: two bytes of type (0 for the first), two of flags, four of length."""

_ENTRIES = 3
_RETRIES = 7
"""Numbers of fields in the first message."""

_VARINT = 0
_DELIMITED = 2
"""Wire types of fields; the first message has no others."""


@attrs.frozen
class Attempt:
    """One attempt to carry out an invocation.

    Attributes:
        entries: Number of the journal's entries when the attempt began.
        retries: Number of attempts that failed since the last entry was added.
    """

    entries: int
    retries: int


_attempts: ContextVar[list[Attempt]] = ContextVar("attempts")
"""The request's attempt, once it is read."""
# The SDK reads a request in another task than the handler's. A value that is set there is invisible
# here; a list that both tasks share is not.


def current_attempt() -> Attempt | None:
    """Return the attempt that this task carries out, if it is known."""
    attempts = _attempts.get([])
    return attempts[0] if attempts else None


def with_attempts(app: App, services: Container[str]) -> App:
    """Return an application whose handlers of these services find their attempt."""

    async def answer(scope: Scope, receive: Receive, send: Send) -> None:
        parts = scope.get("path", "").rsplit("/", 2)
        if len(parts) < len(("invoke", "service", "handler")) or parts[-2] not in services:
            await app(scope, receive, send)
            return
        attempts: list[Attempt] = []
        is_first = True

        async def read() -> MutableMapping[str, Any]:
            nonlocal is_first
            message = await receive()
            if is_first and (attempt := read_start(message.get("body", b""))) is not None:
                attempts.append(attempt)
            is_first = False
            return message

        _attempts.set(attempts)

        await app(scope, read, send)

    return answer


def read_start(body: bytes) -> Attempt | None:
    """Read the attempt from a request's first bytes; ``None`` where they have another form."""
    if int.from_bytes(body[:2]) != 0 or len(body) < _HEADER:
        return None
    try:
        fields = dict(_read_fields(body, _HEADER, _HEADER + int.from_bytes(body[4:_HEADER])))
    except (IndexError, ValueError):
        return None
    # Protocol Buffers leave a field out whose number is 0.
    return Attempt(entries=fields.get(_ENTRIES, 0), retries=fields.get(_RETRIES, 0))


def _read_fields(body: bytes, at: int, end: int) -> Iterator[tuple[int, int]]:
    """Read the fields that are numbers, up to the last one of interest."""
    # Fields come in the order of their numbers: nothing of interest follows the last one.
    while at < end and (tag := body[at]) >> 3 <= _RETRIES:
        value, at = _read_varint(body, at + 1)
        if tag & 7 == _VARINT:
            yield tag >> 3, value
        elif tag & 7 == _DELIMITED:
            at += value
        else:
            raise ValueError(tag)


def _read_varint(body: bytes, at: int) -> tuple[int, int]:
    value = shift = 0
    while True:
        byte = body[at]
        at += 1
        value |= (byte & 0x7F) << shift
        if byte < 0x80:  # noqa: PLR2004  # the highest bit says that more follows
            return value, at
        shift += 7
