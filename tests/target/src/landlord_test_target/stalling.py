"""A proxy that can fall silent: it still accepts and reads, but answers nothing."""

import asyncio
from asyncio import StreamReader, StreamWriter
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from urllib.parse import urlsplit

import attrs

from landlord_test_target.listening import listening, relay


@attrs.define
class Front:
    """A proxy before ``behind``, which relays everything unless it is silent.

    Attributes:
        asked: Set once a request got no answer.
    """

    behind: str
    url: str = ""
    silent: bool = False
    asked: asyncio.Event = attrs.field(factory=asyncio.Event)

    async def connected(self, reader: StreamReader, writer: StreamWriter) -> None:
        """Serve one connection."""
        behind = urlsplit(self.behind)
        beyond = await asyncio.open_connection(behind.hostname, behind.port)
        await relay(reader, writer, beyond, self._passing)

    async def _passing(self, _: bytes, *, asks: bool) -> bool:
        if self.silent and asks:
            self.asked.set()
        return not self.silent


@asynccontextmanager
async def front_of(url: str, *, silent: bool = False) -> AsyncIterator[Front]:
    """Run a proxy before the server at ``url``."""
    front = Front(url, silent=silent)
    async with listening(front.connected) as port:
        front.url = f"http://127.0.0.1:{port}"
        yield front
