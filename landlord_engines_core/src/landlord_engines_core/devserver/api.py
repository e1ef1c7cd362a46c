"""Landlord's tenant API v1 over HTTP; what a request means is decided at the desk.

The only door to aiohttp's server in core.
"""

import re
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from datetime import UTC, datetime
from http import HTTPStatus
from uuid import uuid4

import attrs
from aiohttp import web

from landlord_engines_core.devserver.gojson import Struct, encode
from landlord_engines_core.devserver.listing import Listing
from landlord_engines_core.devserver.records import State, TenantRecord
from landlord_engines_core.devserver.tenant_api import TenantApi
from landlord_engines_core.devserver.validation import Refusal, declared, discovered
from landlord_engines_core.devserver.wire import rfc3339, tenant_response

__all__ = ["Api", "listening"]

Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]

_UNVERSIONED = re.compile(r"/api(/.*)?")
_OTHER_VERSION = re.compile(r"/v(?!1(/|$))[^/]+(/.*)?")


@attrs.frozen
class Api:
    """The routes."""

    desk: TenantApi

    def app(self) -> web.Application:
        """All routes; bodies are of any size, as with Landlord."""
        app = web.Application(middlewares=[_as_go_answers], client_max_size=0)
        app.on_response_prepare.append(_headers)
        one = "/v1/tenants/{key}"
        for method, path, handler in (
            ("GET", "/health", self.health),
            ("GET", "/ready", self.ready),
            ("GET", "/v1/compute/config", self.compute_config),
            ("POST", "/v1/tenants", self.create),
            ("GET", "/v1/tenants", self.list),
            ("GET", one, self.get),
            ("PUT", one, self.update),
            ("DELETE", one, self.delete),
            ("POST", f"{one}/archive", self.archive),
        ):
            app.router.add_route(method, path, handler)
        return app

    async def health(self, _: web.Request) -> web.Response:
        """It runs."""
        return _json(Struct(status="ok", time=_now()))

    async def ready(self, _: web.Request) -> web.Response:
        """It is ready as long as it runs: there is no database to lose."""
        checks = {"database": "healthy", "controller": "ready"}
        return _json(Struct(status="ready", checks=checks, time=_now()))

    async def compute_config(self, request: web.Request) -> web.Response:
        """What the configuration of a compute engine looks like."""
        return _json(discovered(self.desk.compute, request.query.get("provider", "")))

    async def create(self, request: web.Request) -> web.Response:
        """Declare a tenant."""
        record = self.desk.create(declared(await request.read()))
        return _tenant(record, HTTPStatus.CREATED)

    async def list(self, request: web.Request) -> web.Response:
        """List tenants."""
        return _json(Listing.asked(request.query).page(self.desk.tenants))

    async def get(self, request: web.Request) -> web.Response:
        """Show a tenant."""
        return _tenant(self._named(request), HTTPStatus.OK)

    async def update(self, request: web.Request) -> web.Response:
        """Declare another configuration."""
        declaration = declared(await request.read())
        record = self.desk.update(self._named(request), declaration)
        begun = record.status is State.UPDATING
        return _tenant(record, HTTPStatus.ACCEPTED if begun else HTTPStatus.OK)

    async def archive(self, request: web.Request) -> web.Response:
        """Archive a tenant."""
        record = self.desk.archive(self._named(request))
        over = record.status is State.ARCHIVED
        return _tenant(record, HTTPStatus.OK if over else HTTPStatus.ACCEPTED)

    async def delete(self, request: web.Request) -> web.Response:
        """Delete a tenant."""
        return _tenant(await self.desk.delete(self._named(request)), HTTPStatus.ACCEPTED)

    def _named(self, request: web.Request) -> TenantRecord:
        key = request.match_info["key"]
        if "/" in key:
            # Landlord's router does not decode it, so that it is no tenant's name.
            raise Refusal(HTTPStatus.NOT_FOUND, "Tenant not found")
        return self.desk.tenant(key)


@asynccontextmanager
async def listening(api: Api, host: str, port: int) -> AsyncIterator[str]:
    """Serve the API for as long as this is entered.

    Yields:
        Its base URL; port 0 lets the system choose.
    """
    runner = web.AppRunner(api.app(), access_log=None, handle_signals=False, shutdown_timeout=1.0)
    await runner.setup()
    try:
        await web.TCPSite(runner, host, port).start()
        chosen: tuple[str, int] = runner.addresses[0]
        yield f"http://{chosen[0]}:{chosen[1]}"
    finally:
        await runner.cleanup()


@web.middleware
async def _as_go_answers(request: web.Request, handler: Handler) -> web.StreamResponse:
    """Answer what no route takes as Landlord's router does, and refusals as its handlers do."""
    try:
        return await handler(request)
    except Refusal as refusal:
        return _error(request, refusal)
    except web.HTTPMethodNotAllowed:
        return web.Response(status=HTTPStatus.METHOD_NOT_ALLOWED)
    except web.HTTPNotFound:
        return _no_route(request)


def _no_route(request: web.Request) -> web.Response:
    if _UNVERSIONED.fullmatch(request.path):
        return _error(request, Refusal(HTTPStatus.BAD_REQUEST, "version_required", "v1"))
    if _OTHER_VERSION.fullmatch(request.path):
        return _error(request, Refusal(HTTPStatus.BAD_REQUEST, "unsupported_version", "v1"))
    return web.Response(
        status=HTTPStatus.NOT_FOUND,
        body=b"404 page not found\n",
        content_type="text/plain",
        charset="utf-8",
    )


async def _headers(request: web.Request, response: web.StreamResponse) -> None:
    """Give back the caller's correlation id, or a new one; an empty answer has no type."""
    response.headers["X-Correlation-ID"] = request.headers.get("X-Correlation-ID") or str(uuid4())
    if response.status == HTTPStatus.METHOD_NOT_ALLOWED:
        response.headers.popall("Content-Type", None)


def _error(request: web.Request, refusal: Refusal) -> web.Response:
    body = Struct(error=refusal.error)
    if refusal.details:
        body["details"] = refusal.details
    if request_id := request.headers.get("X-Request-ID"):
        body["request_id"] = request_id
    return _json(body, refusal.status)


def _tenant(record: TenantRecord, status: HTTPStatus) -> web.Response:
    return _json(tenant_response(record), status)


def _json(body: Struct, status: HTTPStatus = HTTPStatus.OK) -> web.Response:
    return web.Response(status=status, body=encode(body), content_type="application/json")


def _now() -> str:
    return rfc3339(datetime.now(UTC).replace(microsecond=0))
