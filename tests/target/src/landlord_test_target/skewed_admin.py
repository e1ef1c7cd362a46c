"""A front of Restate's admin API that shows jobs as other clocks dispatched them, or long ago."""

import asyncio
import json
from collections.abc import AsyncIterator, Awaitable
from contextlib import asynccontextmanager
from datetime import UTC, datetime, timedelta

import aiohttp
import attrs
from aiohttp import web

__all__ = ["SkewedAdmin", "skewed_admin"]

_KEPT = ("accept", "content-type")


@attrs.define(kw_only=True)
class SkewedAdmin:
    """Passes on what is asked, and shifts ``created_at`` in the answers to queries.

    Attributes:
        to: The admin API.
        http: How it is asked.
        url: Where this front listens.
        shown: The ids of jobs that were shown with another time than Restate's.
    """

    to: str
    http: aiohttp.ClientSession
    url: str = ""
    shown: set[str] = attrs.field(factory=set)
    _shifts: dict[str, timedelta] = attrs.field(factory=dict)
    _told: asyncio.Lock = attrs.field(factory=asyncio.Lock)

    async def dispatched(self, sending: Awaitable[str], seconds: float) -> str:
        """Dispatch a job that was dispatched this much later by another clock; its id.

        No answer with a row in it leaves meanwhile, so that nobody sees the job's true time.
        """
        async with self._told:
            job = await sending
            self._shifts[job] = timedelta(seconds=seconds)
            return job

    async def handle(self, request: web.Request) -> web.Response:
        """Answer one request."""
        headers = {key: value for key, value in request.headers.items() if key.lower() in _KEPT}
        body = await request.read()
        async with self.http.request(
            request.method, f"{self.to}{request.raw_path}", data=body, headers=headers
        ) as answer:
            content = await answer.read()
            if request.path == "/query" and answer.status == web.HTTPOk.status_code:
                content = await self._shifted(content)
            return web.Response(
                body=content, status=answer.status, content_type=answer.content_type
            )

    async def _shifted(self, content: bytes) -> bytes:
        document = json.loads(content)
        async with self._told:
            for row in document["rows"]:
                shift = self._shifts.get(row.get("id", ""))
                if shift and "created_at" in row:
                    row["created_at"] = _moved(row["created_at"], shift)
                    self.shown.add(row["id"])
        return json.dumps(document).encode()


@asynccontextmanager
async def skewed_admin(to: str) -> AsyncIterator[SkewedAdmin]:
    """Listen before the admin API at this URL."""
    async with aiohttp.ClientSession() as http:
        front = SkewedAdmin(to=to.rstrip("/"), http=http)
        app = web.Application()
        app.router.add_route("*", "/{path:.*}", front.handle)
        runner = web.AppRunner(app, access_log=None)
        await runner.setup()
        site = web.TCPSite(runner, "127.0.0.1", 0)
        await site.start()
        host, port = runner.addresses[0][:2]
        front.url = f"http://{host}:{port}"
        try:
            yield front
        finally:
            await runner.cleanup()


def _moved(text: str, shift: timedelta) -> str:
    at = datetime.fromisoformat(text)
    at = at if at.tzinfo is not None else at.replace(tzinfo=UTC)
    return (at + shift).isoformat()
