"""Reading the body of an answer, up to a bound."""

from collections.abc import AsyncIterable

__all__ = ["LongBody", "read_body"]


class LongBody(Exception):
    """The body is longer than the bound."""


async def read_body(chunks: AsyncIterable[bytes], most: int) -> bytes:
    """Read a body to its end.

    Args:
        chunks: The body, in pieces of any size.
        most: The bound, in bytes.

    Raises:
        LongBody: The body is longer.
    """
    body = bytearray()
    async for chunk in chunks:
        body += chunk
        if len(body) > most:
            raise LongBody(f"the answer has more than {most} bytes")
    return bytes(body)
