"""Bodies of answers from outside: as long as the sender likes, and read up to a bound."""

from collections.abc import AsyncIterable

__all__ = ["LongBody", "read_body"]


class LongBody(Exception):
    """More bytes came than are read; whoever asked says what that means."""


async def read_body(chunks: AsyncIterable[bytes], most: int) -> bytes:
    """Read an answer to its end.

    Args:
        chunks: The body, in pieces of any size.
        most: Bytes that are kept, at most.

    Raises:
        LongBody: It is longer.
    """
    body = bytearray()
    async for chunk in chunks:
        body += chunk
        if len(body) > most:
            raise LongBody(f"the answer has more than {most} bytes")
    return bytes(body)
