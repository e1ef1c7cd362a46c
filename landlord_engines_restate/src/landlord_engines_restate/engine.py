"""The Restate worker engine: an HTTP endpoint that Restate calls, and its registration there."""

import asyncio
import logging
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager

from restate.endpoint import Endpoint

from landlord_engines_core.engine import (
    Capability,
    EngineContext,
    EngineInfo,
    MoveReport,
    Registration,
    Support,
    WorkerEngine,
)
from landlord_engines_core.errors import EngineFailed
from landlord_engines_restate.admin import AdminClient
from landlord_engines_restate.attempts import with_attempts
from landlord_engines_restate.manifest import manifest_of
from landlord_engines_restate.moving import Mover
from landlord_engines_restate.registration import Registrar
from landlord_engines_restate.server import (
    App,
    HttpServer,
    Receive,
    Scope,
    Send,
    listening_sockets,
    take_no_signals,
)
from landlord_engines_restate.services import build_services
from landlord_engines_restate.settings import RestateSettings

__all__ = ["INFO", "RestateEngine", "create_engine"]

INFO = EngineInfo(
    name="restate",
    capabilities=dict.fromkeys(Capability, Support.FULL),
)


DISCOVERY_GRACE = 1.0
"""Seconds for connections to end after a discovery: uvicorn logs an error where there are none."""


class RestateEngine(WorkerEngine):
    """Lets a Restate server run this worker's jobs."""

    info = INFO

    def __init__(self, context: EngineContext) -> None:
        settings: RestateSettings = context.settings
        settings.check()
        self._settings = settings
        self._logger = context.logger
        self._admin = AdminClient(settings.admin_url, settings.bearer)
        known: set[str] = set()
        services = build_services(settings.names, context, self._admin, known=known)
        endpoint = Endpoint()  # type: ignore[no-untyped-call]  # the SDK leaves it so
        endpoint.bind(services.jobs, services.lock, services.resync)
        for key in settings.identity_keys:
            endpoint.identity_key(key)
        app: App = endpoint.app()  # type: ignore[no-untyped-call]  # as above
        names = settings.names
        self._app = with_attempts(app, frozenset((names.service, names.resync)))
        self._most_connections = context.host.max_connections
        self._server = self._server_of(self._app)
        self._registrar = Registrar(
            admin=self._admin,
            names=settings.names,
            uri=settings.advertised_url,
            manifest=manifest_of(endpoint),
            on_startup=settings.worker_register_on_startup,
            logger=context.logger,
            known=known,
        )
        self._mover = Mover(
            admin=self._admin,
            names=settings.names,
            # As long as Restate waits for a step, whose worker gives it up before that.
            patience=2 * context.host.step_timeout + context.host.longest_carry,
        )

    async def serve(self, started: Callable[[], None]) -> None:
        """Listen for Restate until `shutdown`."""
        # The SDK logs each step that is to be tried again as an error, beside our own line.
        logging.getLogger("restate.server_context").setLevel(logging.CRITICAL)
        self._warn()
        await take_no_signals(self._app)
        host, port = self._settings.listen()
        listeners = listening_sockets(host, port)
        self._logger.info("listening", host=host or "::", port=port)
        try:
            await self._server.serve(listeners, started)
        finally:
            await self._admin.aclose()

    async def register(self) -> Registration:
        """Register with Restate's admin API; see `Registrar`."""
        return await self._registrar.register()

    async def shutdown(self, grace: float) -> None:
        """Stop listening and let steps in flight end; Restate goes on with the rest elsewhere."""
        await self._server.stop(grace)
        await self._admin.aclose()

    async def dry_run_registration(self) -> Registration:
        """Have Restate discover the worker without registering it."""
        async with self._discoverable():
            return await self._registrar.dry_run()

    async def watch_registration(self) -> Registration:
        """Look at the deployment and at who gets new jobs."""
        return await self._registrar.look()

    async def make_latest(self) -> Registration:
        """Register again, by force."""
        return await self._registrar.make_latest()

    async def move(self, old: str, *, dry_run: bool) -> MoveReport:
        """Move what stands still on the deployment at this URL; see `Mover`."""
        return await self._mover.move(old, dry_run=dry_run)

    def _warn(self) -> None:
        names = self._settings.names
        if names.service != names.landlord_calls:
            self._logger.warning(
                "Landlord calls the service without namespace and prefix, and will not find it",
                serves=names.service,
                landlord_calls=names.landlord_calls,
            )
        if not self._settings.identity_keys:
            self._logger.warning("requests are not checked for Restate's signature")

    def _server_of(self, app: App) -> HttpServer:
        return HttpServer(app, most_connections=self._most_connections, logger=self._logger)

    @asynccontextmanager
    async def _discoverable(self) -> AsyncIterator[None]:
        """Answer Restate's discovery, and no job, where the worker does not listen already."""
        host, port = self._settings.listen()
        try:
            listeners = listening_sockets(host, port)
        except EngineFailed:
            yield
            return
        server = self._server_of(_discovery_only(self._app))
        listening = asyncio.Event()
        serving = asyncio.create_task(server.serve(listeners, listening.set))
        try:
            await listening.wait()
            yield
        finally:
            await server.stop(DISCOVERY_GRACE)
            await serving


def create_engine(context: EngineContext) -> RestateEngine:
    """Make the engine; nothing is reached yet.

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
