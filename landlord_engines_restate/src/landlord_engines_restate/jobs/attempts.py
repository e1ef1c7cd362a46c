"""The number of an attempt, read from the first bytes of Restate's request.

Restate sends how many attempts failed before this one, but the SDK does not expose that number. This
module reads it from the first message of Restate's service protocol
(https://github.com/restatedev/service-protocol; observed with its versions 5 and 6). A message of
another form yields no attempt.
"""

from collections.abc import Container, Iterator, MutableMapping
from contextvars import ContextVar
from typing import Any

import attrs

from landlord_engines_restate.endpoint.server import App, Receive, Scope, Send

__all__ = ["Attempt", "current_attempt", "read_start", "with_attempts"]

_HEADER_LENGTH = 8
"""Length of a message's header: two bytes of type (0 for the first), two of flags, four of length."""

_ENTRIES_FIELD = 3
_RETRIES_FIELD = 7
"""Field numbers in the first message: known entries, and retries since the last entry."""

_VARINT = 0
_DELIMITED = 2
"""Protocol Buffers wire types; the first message has no others."""


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
# The SDK reads the request in another task than the handler's. The handler's task cannot see a context
# variable that is set there, but it sees what is appended to a list that both tasks share.


def current_attempt() -> Attempt | None:
    """Return the attempt that this task runs, if it is known."""
    attempts = _attempts.get([])
    return attempts[0] if attempts else None


def with_attempts(app: App, services: Container[str]) -> App:
    """Wrap an application, so that handlers of these services can call `current_attempt`."""

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
    """Read the attempt from a request's first bytes; ``None`` if they have another form."""
    if int.from_bytes(body[:2]) != 0 or len(body) < _HEADER_LENGTH:
        return None
    try:
        fields = dict(
            _read_fields(
                body, _HEADER_LENGTH, _HEADER_LENGTH + int.from_bytes(body[4:_HEADER_LENGTH])
            )
        )
    except (IndexError, ValueError):
        return None
    # Protocol Buffers omit a field whose value is 0.
    return Attempt(entries=fields.get(_ENTRIES_FIELD, 0), retries=fields.get(_RETRIES_FIELD, 0))


def _read_fields(body: bytes, position: int, end: int) -> Iterator[tuple[int, int]]:
    """Yield the number and value of each varint field, up to `_RETRIES_FIELD`."""
    # Restate writes fields in the order of their numbers, so the rest need not be read.
    while position < end and (tag := body[position]) >> 3 <= _RETRIES_FIELD:
        value, position = _read_varint(body, position + 1)
        if tag & 7 == _VARINT:
            yield tag >> 3, value
        elif tag & 7 == _DELIMITED:
            position += value
        else:
            raise ValueError(tag)


def _read_varint(body: bytes, position: int) -> tuple[int, int]:
    value = shift = 0
    while True:
        byte = body[position]
        position += 1
        value |= (byte & 0x7F) << shift
        if byte < 0x80:  # noqa: PLR2004  # the highest bit says that more follows
            return value, position
        shift += 7
