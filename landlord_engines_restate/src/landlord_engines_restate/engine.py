"""The Restate worker engine: an HTTP endpoint that Restate calls, and its registration there."""

import asyncio
import logging
from collections.abc import AsyncGenerator, AsyncIterator, Callable
from contextlib import asynccontextmanager

from restate.endpoint import Endpoint

from landlord_engines_core.engine import (
    Capability,
    EngineContext,
    EngineInfo,
    MoveReport,
    Registration,
    Support,
    TenantStatus,
    WorkerEngine,
)
from landlord_engines_core.errors import EngineFailed
from landlord_engines_restate.admin import AdminClient
from landlord_engines_restate.admin.known_services import KnownServices
from landlord_engines_restate.deployments.manifest import build_manifest
from landlord_engines_restate.deployments.moving import Mover
from landlord_engines_restate.deployments.registration import Registrar
from landlord_engines_restate.endpoint.server import (
    App,
    HttpServer,
    Receive,
    Scope,
    Send,
    open_sockets,
    prevent_signal_handler,
)
from landlord_engines_restate.jobs.attempts import with_attempts
from landlord_engines_restate.jobs.services import build_services
from landlord_engines_restate.lock.tenant_reader import TenantReader
from landlord_engines_restate.settings import RestateSettings

__all__ = ["INFO", "RestateEngine", "create_engine"]

INFO = EngineInfo(
    name="restate",
    contract=1,
    capabilities=dict.fromkeys(Capability, Support.FULL),
)

DISCOVERY_GRACE = 1.0
"""Seconds that connections have to end after a discovery."""
# With 0 seconds, uvicorn logs an error about requests that it cancels.


class RestateEngine(WorkerEngine):
    """Serves this worker's jobs to a Restate server."""

    def __init__(self, context: EngineContext) -> None:
        settings: RestateSettings = context.settings
        settings.check()
        self._settings = settings
        self._logger = context.logger
        self._admin = AdminClient(settings.admin_url, settings.bearer)
        known = KnownServices()
        services = build_services(settings.names, context, self._admin, known=known)
        endpoint = Endpoint()  # type: ignore[no-untyped-call]  # the SDK has no type here
        endpoint.bind(services.jobs, services.lock, services.resync)
        for key in settings.identity_keys:
            endpoint.identity_key(key)
        app: App = endpoint.app()  # type: ignore[no-untyped-call]  # as above
        names = settings.names
        self._app = with_attempts(app, frozenset((names.service, names.resync)))
        self._most_connections = context.host.max_connections
        self._server = self._build_server(self._app)
        self._registrar = Registrar(
            admin=self._admin,
            names=settings.names,
            uri=settings.advertised_url,
            manifest=build_manifest(endpoint),
            on_startup=settings.worker_register_on_startup,
            logger=context.logger,
            known=known,
        )
        self._tenants = TenantReader(admin=self._admin, names=settings.names)
        self._mover = Mover(
            admin=self._admin,
            names=settings.names,
            # A step of the paused invocation ends within the abort timeout; see `build_services`.
            pause_timeout=2 * context.host.step_timeout + context.host.longest_carry,
        )

    async def serve(self, started: Callable[[], None]) -> None:
        """Listen for Restate until `shutdown`."""
        # The SDK logs each failed step as an error, and the host logs it too.
        logging.getLogger("restate.server_context").setLevel(logging.CRITICAL)
        self._warn_about_settings()
        await prevent_signal_handler(self._app)
        address, port = self._settings.listen_address()
        listeners = open_sockets(address, port)
        self._logger.info("listening", host=address or "::", port=port)
        try:
            await self._server.serve(listeners, started)
        finally:
            await self._admin.aclose()

    async def register(self) -> Registration:
        """Register with Restate's admin API; see `Registrar.register`."""
        return await self._registrar.register()

    async def shutdown(self, grace: float) -> None:
        """Stop listening and let running steps end; Restate continues their jobs on another worker."""
        await self._server.stop(grace)
        await self._admin.aclose()

    async def dry_run_registration(self) -> Registration:
        """Have Restate discover the worker without registering it."""
        async with self._discoverable():
            return await self._registrar.dry_run()

    async def watch_registration(self) -> Registration:
        """Check this worker's deployment, and which deployment gets new jobs."""
        return await self._registrar.read_registration()

    async def make_latest(self) -> Registration:
        """Register again, so that new jobs go to this worker."""
        return await self._registrar.make_latest()

    async def move(self, old: str, *, dry_run: bool) -> MoveReport:
        """Move the jobs of the deployment at this URL to the latest; see `Mover`."""
        return await self._mover.move(old, dry_run=dry_run)

    def list_tenants(self) -> AsyncGenerator[TenantStatus, None]:
        """List the tenants whose state Restate keeps; see `TenantReader`."""
        return self._tenants.list_all()

    async def read_tenant(self, tenant: str) -> TenantStatus:
        """Read a tenant's state on Restate."""
        return await self._tenants.read(tenant)

    async def retry_job(self, execution_id: str) -> bool:
        """Have Restate start the next attempt of a waiting job at once."""
        return await self._admin.retry(execution_id)

    def _warn_about_settings(self) -> None:
        names = self._settings.names
        if names.service != names.unprefixed_service:
            self._logger.warning(
                "Landlord calls the service without namespace and prefix, and will not find it",
                serves=names.service,
                unprefixed_service=names.unprefixed_service,
            )
        if not self._settings.identity_keys:
            self._logger.warning("requests are not checked for Restate's signature")

    def _build_server(self, app: App) -> HttpServer:
        return HttpServer(app, most_connections=self._most_connections, logger=self._logger)

    @asynccontextmanager
    async def _discoverable(self) -> AsyncIterator[None]:
        """Answer Restate's discovery, but no job, unless a worker listens already."""
        address, port = self._settings.listen_address()
        try:
            listeners = open_sockets(address, port)
        except EngineFailed:
            # A worker that uses the address answers the discovery.
            yield
            return
        await prevent_signal_handler(self._app)
        server = self._build_server(_discovery_only(self._app))
        listening = asyncio.Event()
        serving = asyncio.create_task(server.serve(listeners, listening.set))
        try:
            await listening.wait()
            yield
        finally:
            await server.stop(DISCOVERY_GRACE)
            await serving


def create_engine(context: EngineContext) -> RestateEngine:
    """Build the engine, without sending a request.

    Raises:
        SettingsError: A key of ``workflow.restate`` is missing or does not fit another.
    """
    return RestateEngine(context)


def _discovery_only(app: App) -> App:
    async def answer(scope: Scope, receive: Receive, send: Send) -> None:
        if scope["path"].endswith("/discover"):
            await app(scope, receive, send)
            return
        await send({"type": "http.response.start", "status": 503, "headers": []})
        await send({"type": "http.response.body", "body": b""})

    return answer
