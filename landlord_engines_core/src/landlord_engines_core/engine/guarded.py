"""A worker engine and its local backend, called inside the error boundary of `plugin_calls`."""

from collections.abc import AsyncGenerator, AsyncIterator, Callable
from contextlib import aclosing, asynccontextmanager
from pathlib import Path

import attrs

from landlord_engines_core.engine.contract import EngineInfo, WorkerEngine
from landlord_engines_core.engine.local_backend import Dispatcher, LocalBackend, StartLocalBackend
from landlord_engines_core.engine.moving import MoveReport
from landlord_engines_core.engine.registration import Registration
from landlord_engines_core.engine.tenants import TenantStatus
from landlord_engines_core.errors import EngineFailed
from landlord_engines_core.models import PolledExecution
from landlord_engines_core.plugin_calls import ErrorBoundary, ignore_time

__all__ = ["GuardedEngine", "build_boundary", "open_local_backend"]


def build_boundary(
    info: EngineInfo, observe: Callable[[str, float], None] = ignore_time
) -> ErrorBoundary:
    """Build the boundary of a worker engine, which replaces any forbidden error by EngineFailed.

    Args:
        info: The engine's description.
        observe: Gets the duration of each call.
    """
    return ErrorBoundary(engine=f"worker engine {info.name}", failure=EngineFailed, observe=observe)


@attrs.frozen
class GuardedEngine(WorkerEngine):
    """Worker engine whose methods are called inside the boundary."""

    engine: WorkerEngine
    boundary: ErrorBoundary

    async def serve(self, started: Callable[[], None]) -> None:
        """Call the engine's ``serve``."""
        with self.boundary.call("serve"):
            await self.engine.serve(started)

    async def register(self) -> Registration:
        """Call the engine's ``register``."""
        with self.boundary.call("register"):
            return await self.engine.register()

    async def shutdown(self, grace: float) -> None:
        """Call the engine's ``shutdown``."""
        with self.boundary.call("shutdown"):
            await self.engine.shutdown(grace)

    def check(self) -> None:
        """Call the engine's ``check``."""
        with self.boundary.call("check"):
            self.engine.check()

    async def dry_run_registration(self) -> Registration:
        """Call the engine's ``dry_run_registration``."""
        with self.boundary.call("dry_run_registration"):
            return await self.engine.dry_run_registration()

    async def watch_registration(self) -> Registration:
        """Call the engine's ``watch_registration``."""
        with self.boundary.call("watch_registration"):
            return await self.engine.watch_registration()

    async def make_latest(self) -> Registration:
        """Call the engine's ``make_latest``."""
        with self.boundary.call("make_latest"):
            return await self.engine.make_latest()

    async def move(self, old: str, *, dry_run: bool) -> MoveReport:
        """Call the engine's ``move``."""
        with self.boundary.call("move"):
            return await self.engine.move(old, dry_run=dry_run)

    async def list_tenants(self) -> AsyncGenerator[TenantStatus, None]:
        """Call the engine's ``list_tenants``."""
        with self.boundary.call("list_tenants"):
            async with aclosing(self.engine.list_tenants()) as tenants:
                async for tenant in tenants:
                    yield tenant

    async def read_tenant(self, tenant: str) -> TenantStatus:
        """Call the engine's ``read_tenant``."""
        with self.boundary.call("read_tenant"):
            return await self.engine.read_tenant(tenant)

    async def retry_job(self, execution_id: str) -> bool:
        """Call the engine's ``retry_job``."""
        with self.boundary.call("retry_job"):
            return await self.engine.retry_job(execution_id)


@attrs.frozen
class _GuardedDispatcher:
    dispatcher: Dispatcher
    boundary: ErrorBoundary

    async def dispatch(self, body: bytes) -> str:
        with self.boundary.call("dispatch"):
            return await self.dispatcher.dispatch(body)

    async def poll(self, execution_id: str) -> PolledExecution | None:
        with self.boundary.call("poll"):
            return await self.dispatcher.poll(execution_id)

    async def kill(self, execution_id: str) -> None:
        with self.boundary.call("kill"):
            await self.dispatcher.kill(execution_id)


@asynccontextmanager
async def open_local_backend(
    boundary: ErrorBoundary, start: StartLocalBackend, settings: object, folder: Path
) -> AsyncIterator[LocalBackend]:
    """Run a local backend of an engine, whose dispatcher is called inside the boundary too."""
    with boundary.call("local_backend"):
        manager = start(settings, folder)
        backend = await manager.__aenter__()
    guarded = _GuardedDispatcher(backend.dispatcher, boundary)
    try:
        yield attrs.evolve(backend, dispatcher=guarded)
    finally:
        with boundary.call("local_backend"):
            # Without the error of the caller, which the backend would only raise again.
            await manager.__aexit__(None, None, None)
