"""The rows of a query's response, read one by one while they arrive."""

import codecs
import json
from collections.abc import AsyncGenerator, AsyncIterable, Mapping

__all__ = ["BrokenRows", "read_rows"]

_HEAD, _TAIL = '{"rows":[', "]}"
"""Text before and after the rows (observed on 1.7.12)."""

_decode = json.JSONDecoder().raw_decode


class BrokenRows(ValueError):
    """A response is not a list of rows, or ended before its last row."""


async def read_rows(
    chunks: AsyncIterable[bytes],
) -> AsyncGenerator[Mapping[str, object], None]:
    """Read rows, and keep only the one that has not arrived completely.

    Args:
        chunks: The response, in pieces of any size.

    Raises:
        BrokenRows: The response has another form, or ended early.
    """
    decoder = codecs.getincrementaldecoder("utf-8")("replace")
    text, head = "", _HEAD
    async for chunk in chunks:
        text += decoder.decode(chunk)
        if head:
            if not text.startswith(head[: len(text)]):
                break
            if len(text) < len(head):
                continue
            text, head = text[len(head) :], ""
        position = 0
        while (row := _read_row(text, position)) is not None:
            fields, position = row
            yield fields
        text = text[position:]
    if head or text != _TAIL:
        raise BrokenRows("the response is not a complete list of rows")


def _read_row(text: str, position: int) -> tuple[Mapping[str, object], int] | None:
    """Read the row at a position, and return it with the position after it, if it is complete."""
    try:
        fields, end = _decode(text, position + (text[position : position + 1] == ","))
    except ValueError:
        return None
    return fields, end
