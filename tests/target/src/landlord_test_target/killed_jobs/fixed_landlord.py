"""A server with Landlord's tenant API, whose answers a test sets."""

from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from typing import Any

import attrs
from aiohttp import web

__all__ = ["FixedLandlord", "run_fixed_landlord"]


@attrs.define
class FixedLandlord:
    """Landlord's API with fixed answers about tenants, and 404 for an unknown tenant.

    Attributes:
        url: The API's address; empty if no worker is to ask it.
    """

    url: str = ""
    _tenants: dict[str, dict[str, Any]] = attrs.field(factory=dict)

    def set_tenant(self, tenant: str, status: str, config: Mapping[str, object]) -> None:
        """Add or change a tenant."""
        document = {"id": tenant, "name": f"name-{tenant}", "desired_config": dict(config)}
        self._tenants[tenant] = {**document, "status": status}

    def remove_tenant(self, tenant: str) -> None:
        """Remove a tenant."""
        self._tenants.pop(tenant, None)

    async def answer_tenant(self, request: web.Request) -> web.Response:
        if (document := self._tenants.get(request.match_info["tenant"])) is None:
            return web.json_response({"error": "tenant not found"}, status=404)
        return web.json_response(document)


async def _defaults(_: web.Request) -> web.Response:
    return web.json_response({"error": "unknown provider"}, status=400)


@asynccontextmanager
async def run_fixed_landlord() -> AsyncIterator[FixedLandlord]:
    """Run the API."""
    landlord, application = FixedLandlord(), web.Application()
    application.router.add_get("/v1/tenants/{tenant}", landlord.answer_tenant)
    application.router.add_get("/v1/compute/config", _defaults)
    runner = web.AppRunner(application, access_log=None)
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", 0)
    await site.start()
    landlord.url = f"http://127.0.0.1:{runner.addresses[0][1]}"
    try:
        yield landlord
    finally:
        await runner.cleanup()
