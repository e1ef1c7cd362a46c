"""Reading the body of an answer, up to a limit."""

from collections.abc import AsyncIterable

__all__ = ["LongBody", "read_body"]


class LongBody(Exception):
    """The body is longer than the limit."""


async def read_body(chunks: AsyncIterable[bytes], limit: int) -> bytes:
    """Read a body to its end.

    Args:
        chunks: The body, in pieces of any size.
        limit: The limit in bytes.

    Raises:
        LongBody: The body is longer.
    """
    body = bytearray()
    async for chunk in chunks:
        body += chunk
        if len(body) > limit:
            raise LongBody(f"the answer has more than {limit} bytes")
    return bytes(body)
