"""A way to Restate's admin API on which the nodes that accepted jobs have clocks of their own.

One restate-server has one clock. Here each job counts as accepted by one of three nodes, and its
``created_at`` is shifted by what that node's clock is ahead, the same each time that it is asked for.
"""

import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import datetime, timedelta
from random import Random
from typing import Any

import aiohttp
import attrs
from aiohttp import web

__all__ = ["Clocks", "clocks_apart"]

PASSED_ON = ("Accept", "Authorization", "Content-Type")
TIMEOUT = aiohttp.ClientTimeout(total=60)
LARGEST = 16 * 1024 * 1024
"""Bytes of a request."""


@attrs.define(kw_only=True)
class Clocks:
    """Shifts the times of jobs in the answers to queries.

    Attributes:
        admin: Restate's own admin API.
        seconds: How far a clock is ahead, or behind; zero is one clock for all.
        share: The part of the jobs that is accepted by a node with such a clock.
        url: Where workers reach the admin API.
        skewed: The jobs whose time was shown other than it is.
    """

    admin: str
    seed: int
    seconds: float
    share: float = 0.25
    url: str = ""
    skewed: set[str] = attrs.field(factory=set)

    def ahead(self, job: str) -> float:
        """Seconds by which the clock of the node that accepted this job is ahead."""
        dice = Random(f"{self.seed}-{job}")
        return dice.choice((-1, 1)) * self.seconds if dice.random() < self.share else 0.0

    async def handle(self, request: web.Request) -> web.Response:
        """Pass one request on; an admin API that cannot be reached is not reached here either."""
        headers = {key: request.headers[key] for key in PASSED_ON if key in request.headers}
        try:
            async with (
                aiohttp.ClientSession(timeout=TIMEOUT, headers=headers) as session,
                session.request(
                    request.method,
                    f"{self.admin}{request.raw_path}",
                    data=await request.read(),
                    allow_redirects=False,
                ) as answer,
            ):
                body, kind = await answer.read(), answer.content_type
        except aiohttp.ClientError as error:
            return web.Response(status=502, text=f"the admin API is away: {error}")
        if self.seconds and request.path == "/query" and answer.ok:
            body = self._shifted(body)
        return web.Response(status=answer.status, body=body, content_type=kind)

    def _shifted(self, body: bytes) -> bytes:
        document: dict[str, Any] = json.loads(body)
        for row in document.get("rows", ()):
            if "id" in row and "created_at" in row and (ahead := self.ahead(row["id"])):
                self.skewed.add(row["id"])
                shown = datetime.fromisoformat(row["created_at"]) + timedelta(seconds=ahead)
                row["created_at"] = shown.isoformat()
        return json.dumps(document).encode()


@asynccontextmanager
async def clocks_apart(admin: str, *, seed: int, seconds: float) -> AsyncIterator[Clocks]:
    """Serve before this admin API."""
    clocks = Clocks(admin=admin, seed=seed, seconds=seconds)
    app = web.Application(client_max_size=LARGEST)
    app.router.add_route("*", "/{path:.*}", clocks.handle)
    runner = web.AppRunner(app, access_log=None)
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", 0)
    await site.start()
    host, port = runner.addresses[0][:2]
    clocks.url = f"http://{host}:{port}"
    try:
        yield clocks
    finally:
        await runner.cleanup()
