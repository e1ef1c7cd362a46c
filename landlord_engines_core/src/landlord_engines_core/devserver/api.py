"""Landlord's tenant API v1 over HTTP; `TenantApi` decides what a request does."""

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
from landlord_engines_core.devserver.validation import Refusal, describe_engine, read_declaration
from landlord_engines_core.devserver.wire import rfc3339, tenant_response

__all__ = ["Api", "serve_api"]

Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]

_UNVERSIONED = re.compile(r"/api(/.*)?")
_OTHER_VERSION = re.compile(r"/v(?!1(/|$))[^/]+(/.*)?")


@attrs.frozen
class Api:
    """Routes of the API."""

    tenant_api: TenantApi

    def app(self) -> web.Application:
        """Make the application; bodies may have any size, as in Landlord."""
        app = web.Application(middlewares=[_translate_errors], client_max_size=0)
        app.on_response_prepare.append(_set_headers)
        tenant = "/v1/tenants/{key}"
        for method, path, handler in (
            ("GET", "/health", self.health),
            ("GET", "/ready", self.ready),
            ("GET", "/v1/compute/config", self.compute_config),
            ("POST", "/v1/tenants", self.create),
            ("GET", "/v1/tenants", self.list),
            ("GET", tenant, self.get),
            ("PUT", tenant, self.update),
            ("DELETE", tenant, self.delete),
            ("POST", f"{tenant}/archive", self.archive),
        ):
            app.router.add_route(method, path, handler)
        return app

    async def health(self, _: web.Request) -> web.Response:
        """Answer that the process runs."""
        return _json(Struct(status="ok", time=_now()))

    async def ready(self, _: web.Request) -> web.Response:
        """Answer that the API is ready, which it always is without a database."""
        checks = {"database": "healthy", "controller": "ready"}
        return _json(Struct(status="ready", checks=checks, time=_now()))

    async def compute_config(self, request: web.Request) -> web.Response:
        """Describe the configuration of a compute engine."""
        return _json(describe_engine(self.tenant_api.compute, request.query.get("provider", "")))

    async def create(self, request: web.Request) -> web.Response:
        """Create a tenant."""
        record = self.tenant_api.create(read_declaration(await request.read()))
        return _tenant(record, HTTPStatus.CREATED)

    async def list(self, request: web.Request) -> web.Response:
        """List tenants."""
        return _json(Listing.from_query(request.query).page(self.tenant_api.tenants))

    async def get(self, request: web.Request) -> web.Response:
        """Show a tenant."""
        return _tenant(self._find_tenant(request), HTTPStatus.OK)

    async def update(self, request: web.Request) -> web.Response:
        """Replace a tenant's configuration."""
        declaration = read_declaration(await request.read())
        record = self.tenant_api.update(self._find_tenant(request), declaration)
        is_updating = record.status is State.UPDATING
        return _tenant(record, HTTPStatus.ACCEPTED if is_updating else HTTPStatus.OK)

    async def archive(self, request: web.Request) -> web.Response:
        """Archive a tenant."""
        record = self.tenant_api.archive(self._find_tenant(request))
        is_archived = record.status is State.ARCHIVED
        return _tenant(record, HTTPStatus.OK if is_archived else HTTPStatus.ACCEPTED)

    async def delete(self, request: web.Request) -> web.Response:
        """Delete a tenant."""
        return _tenant(
            await self.tenant_api.delete(self._find_tenant(request)), HTTPStatus.ACCEPTED
        )

    def _find_tenant(self, request: web.Request) -> TenantRecord:
        key = request.match_info["key"]
        if "/" in key:
            # Landlord's router does not decode the slash, so that no tenant has this name.
            raise Refusal(HTTPStatus.NOT_FOUND, "Tenant not found")
        return self.tenant_api.tenant(key)


@asynccontextmanager
async def serve_api(api: Api, listen_host: str, port: int) -> AsyncIterator[str]:
    """Serve the API while the context is entered; port 0 chooses a free one.

    Yields:
        The API's base URL.
    """
    runner = web.AppRunner(api.app(), access_log=None, handle_signals=False, shutdown_timeout=1.0)
    await runner.setup()
    try:
        await web.TCPSite(runner, listen_host, port).start()
        address: tuple[str, int] = runner.addresses[0]
        yield f"http://{address[0]}:{address[1]}"
    finally:
        await runner.cleanup()


@web.middleware
async def _translate_errors(request: web.Request, handler: Handler) -> web.StreamResponse:
    """Answer unknown routes and refusals as Landlord does."""
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


async def _set_headers(request: web.Request, response: web.StreamResponse) -> None:
    """Return the caller's correlation id, or a new one; an empty answer has no content type."""
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
