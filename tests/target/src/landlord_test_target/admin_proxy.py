"""A proxy of Restate's admin API that may change the rows in its answers to queries."""

import json
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from datetime import UTC, datetime, timedelta
from typing import Any

import aiohttp
from aiohttp import web

__all__ = ["ChangeRows", "Row", "run_admin_proxy", "shift_dispatch_time"]

Row = dict[str, Any]
ChangeRows = Callable[[list[Row]], Awaitable[None]]
"""Changes the rows of one answer in place."""

_FORWARDED_HEADERS = ("Accept", "Authorization", "Content-Type")
_TIMEOUT = aiohttp.ClientTimeout(total=60)
_LARGEST_REQUEST = 16 * 1024 * 1024
"""Maximum bytes of a request."""


@asynccontextmanager
async def run_admin_proxy(admin: str, change: ChangeRows) -> AsyncIterator[str]:
    """Run a proxy of this admin API and yield its URL; while the API is down, the proxy answers 502."""

    async def forward(request: web.Request) -> web.Response:
        headers = {
            key: request.headers[key] for key in _FORWARDED_HEADERS if key in request.headers
        }
        url = f"{admin.rstrip('/')}{request.raw_path}"
        body = await request.read()
        try:
            async with (
                aiohttp.ClientSession(timeout=_TIMEOUT, headers=headers) as http,
                http.request(request.method, url, data=body, allow_redirects=False) as answer,
            ):
                content = await answer.read()
        except aiohttp.ClientError as error:
            return web.Response(status=502, text=f"the admin API is down: {error}")
        if request.path == "/query" and answer.ok:
            document = json.loads(content)
            await change(document["rows"])
            content = json.dumps(document).encode()
        return web.Response(status=answer.status, body=content, content_type=answer.content_type)

    app = web.Application(client_max_size=_LARGEST_REQUEST)
    app.router.add_route("*", "/{path:.*}", forward)
    runner = web.AppRunner(app, access_log=None)
    await runner.setup()
    try:
        await web.TCPSite(runner, "127.0.0.1", 0).start()
        host, port = runner.addresses[0][:2]
        yield f"http://{host}:{port}"
    finally:
        await runner.cleanup()


def shift_dispatch_time(row: Row, seconds: float) -> None:
    """Shift a job's time of dispatch by this many seconds."""
    at = datetime.fromisoformat(row["created_at"])
    at = at if at.tzinfo is not None else at.replace(tzinfo=UTC)
    row["created_at"] = (at + timedelta(seconds=seconds)).isoformat()
