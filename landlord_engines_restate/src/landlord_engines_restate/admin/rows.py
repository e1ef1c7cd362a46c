"""The rows of a query's response, read one by one while they arrive."""

import codecs
import json
from collections.abc import AsyncGenerator, AsyncIterable, Mapping

from landlord_engines_restate.admin.transport import LONGEST_BODY

__all__ = ["LONGEST_ROW", "BrokenRows", "read_rows"]

LONGEST_ROW = LONGEST_BODY
"""Largest row that is read, in characters."""

_HEAD, _TAIL = '{"rows":[', "]}"
"""Text before and after the rows (observed on 1.7.12)."""

_decode = json.JSONDecoder().raw_decode


class BrokenRows(ValueError):
    """A response is not a list of rows, ended before its last row, or has a row that is too long."""


async def read_rows(
    chunks: AsyncIterable[bytes],
) -> AsyncGenerator[Mapping[str, object], None]:
    """Read rows, and keep only the one that has not arrived completely.

    Args:
        chunks: The response, in pieces of any size.

    Raises:
        BrokenRows: The response has another form, ended early, or has a row that is too long.
    """
    decoder = codecs.getincrementaldecoder("utf-8")("replace")
    text, head = "", _HEAD
    async for chunk in chunks:
        piece = decoder.decode(chunk)
        text += piece
        if head:
            if not text.startswith(head[: len(text)]):
                break
            if len(text) < len(head):
                continue
            text, head = text[len(head) :], ""
        position = 0
        # Each attempt reads a row from its start, so a long row is read only once it may be complete.
        while "}" in piece and (row := _read_row(text, position)) is not None:
            fields, position = row
            yield fields
        text = text[position:]
        if len(text) > LONGEST_ROW:
            raise BrokenRows("a row is too long")
    if head or text != _TAIL:
        raise BrokenRows("the response is not a complete list of rows")


def _read_row(text: str, position: int) -> tuple[Mapping[str, object], int] | None:
    """Read the row at a position, and return it with the position after it, if it is complete."""
    try:
        fields, end = _decode(text, position + (text[position : position + 1] == ","))
    except ValueError:
        return None
    return fields, end
