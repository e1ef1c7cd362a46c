"""Everything on one machine: a local backend, Landlord in memory, and a worker."""

import asyncio
import json
import socket
from collections.abc import AsyncIterator, Awaitable, Callable, Coroutine, Iterator, Mapping
from contextlib import AsyncExitStack, asynccontextmanager, contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TypeVar

import attrs

from landlord_engines_core import host
from landlord_engines_core.compute import ComputeRegistry
from landlord_engines_core.dev.guard import guard
from landlord_engines_core.dev.user import User
from landlord_engines_core.devserver import landlord_in_memory
from landlord_engines_core.engine import EngineFactory, LocalBackend, StartLocalBackend
from landlord_engines_core.engine.guarded import build_boundary, open_local_backend
from landlord_engines_core.errors import CapabilityNotSupported, SettingsError
from landlord_engines_core.landlord import add_version
from landlord_engines_core.logs import Logger
from landlord_engines_core.metrics import Metrics
from landlord_engines_core.settings import Settings, Sources, Url
from landlord_engines_core.settings.tree import attribute

__all__ = ["EngineSelection", "Foreground", "Stack", "find_free_port", "run"]

T = TypeVar("T")


@attrs.frozen(kw_only=True)
class EngineSelection:
    """Worker engine with the sources of its settings.

    Attributes:
        name: The engine's name.
        factory: The engine's factory.
        sources: The sources of settings.
        backend: The name of another local backend; ``None`` for the default one.
    """

    name: str
    factory: EngineFactory
    sources: Sources
    backend: str | None = None

    def settings(self, overrides: Mapping[str, str]) -> Settings:
        """Load all settings, with ``overrides`` as the highest source."""
        sources = attrs.evolve(self.sources, flags={**self.sources.flags, **overrides})
        return sources.load(self.name, self.factory.settings_type).settings


@attrs.frozen(kw_only=True)
class Stack:
    """Addresses of the running parts.

    Attributes:
        landlord: The URL of Landlord's API, its version included.
        backend: The worker's settings to reach the backend.
        probes: The URL of the worker's probes.
    """

    landlord: str
    backend: Mapping[str, str]
    probes: str


Foreground = Callable[[Stack], Awaitable[None]]
"""Function that runs while all parts are up. When it returns, they end."""


class _Stopped(Exception):  # not an error: a signal asked for it
    """A signal came before the worker ran."""


async def run(chosen: EngineSelection, logger: Logger, foreground: Foreground) -> None:
    """Start all parts, and end them when ``foreground`` returns or at the first signal.

    Afterwards, no process of a tenant and no file is left.

    Args:
        chosen: The worker engine.
        logger: The logger of all parts.
        foreground: Called once the worker is registered.

    Raises:
        CapabilityNotSupported: The engine has no local backend, or none of this name.
        LandlordEnginesError: A part did not start, or failed.
    """
    control = host.Control()
    with host.handle_signals(control, logger):
        async with AsyncExitStack() as parts:
            try:
                starting = _start_parts(chosen, logger, parts)
                stack, settings = await _await_unless_stopped(control, starting)
            except _Stopped:
                return
            worker = host.run_worker(chosen.factory, settings, logger, control, fail_fast=True)
            await _run_with_worker(worker, control, lambda: foreground(stack))


async def _start_parts(
    chosen: EngineSelection, logger: Logger, parts: AsyncExitStack
) -> tuple[Stack, Settings]:
    """Start backend and Landlord. They end with ``parts``, after the worker and its tenants."""
    folder = parts.enter_context(_temporary_folder())
    parts.enter_context(guard(folder))
    start = _local_backend(chosen)
    configured = chosen.settings({})
    boundary = build_boundary(chosen.factory.info)
    backend = await parts.enter_async_context(
        open_local_backend(boundary, start, configured.engine, folder / "backend")
    )
    local = _local_settings(chosen.name, backend)
    if not chosen.sources.has_compute():
        local["compute"] = json.dumps({"process": {"folder": str(folder / "tenants")}})
    # Above all other sources: this worker must reach the local parts, whatever the file names.
    settings = chosen.settings(local)
    registry = host.build_registry(settings, logger, Metrics())
    parts.push_async_callback(registry.aclose)
    landlord = await parts.enter_async_context(
        landlord_in_memory(backend.dispatcher, compute=registry, logger=logger)
    )
    url = add_version(landlord.url)
    await parts.enter_async_context(_destroy_tenants(registry, url))
    worker = attrs.evolve(settings.worker, landlord_api_url=Url(url))
    stack = Stack(
        landlord=url,
        backend=backend.settings,
        probes=f"http://{worker.probe_address}",
    )
    return stack, attrs.evolve(settings, worker=worker)


@contextmanager
def _temporary_folder() -> Iterator[Path]:
    try:
        folder = TemporaryDirectory(prefix="landlord-dev-")
    except OSError as error:
        raise SettingsError(
            f"no folder for temporary files is writable: {error.strerror}",
            hint="set TMPDIR to a folder that this user may write to",
        ) from None
    with folder as name:
        yield Path(name)


def _local_backend(chosen: EngineSelection) -> StartLocalBackend:
    named = chosen.factory.other_local_backends
    start = chosen.factory.local_backend if chosen.backend is None else named.get(chosen.backend)
    if start is not None:
        return start
    name = "" if chosen.backend is None else f" {chosen.backend!r}"
    listed = f"--backend takes {', '.join(sorted(named))}" if named else "choose an engine with one"
    raise CapabilityNotSupported(
        f"worker engine {chosen.name!r} has no local backend{name}",
        hint=f"{listed}, or see the engine's documentation",
    )


def _local_settings(name: str, backend: LocalBackend) -> dict[str, str]:
    """Make the settings for a backend on this machine, by path."""
    section = f"workflow.{attribute(name)}"
    local = {f"{section}.{key}": value for key, value in backend.settings.items()}
    return {**local, "worker.probe_address": f"127.0.0.1:{find_free_port()}"}


async def _run_with_worker(
    worker: Coroutine[object, object, None],
    control: host.Control,
    foreground: Callable[[], Awaitable[None]],
) -> None:
    """Run the worker, and ``foreground`` once it is registered; the first to end ends both."""

    async def once_registered() -> None:
        await control.registered.wait()
        await foreground()

    working = asyncio.create_task(worker)
    showing = asyncio.create_task(once_registered())
    try:
        await asyncio.wait((working, showing), return_when=asyncio.FIRST_COMPLETED)
    finally:
        showing.cancel()
        control.stop.set()
        await asyncio.wait((working, showing))
    working.result()
    if not showing.cancelled():
        showing.result()


@asynccontextmanager
async def _destroy_tenants(registry: ComputeRegistry, landlord: str) -> AsyncIterator[None]:
    """Destroy the resources of all tenants when the context ends."""
    try:
        yield
    finally:
        # Landlord in memory forgets its tenants, and nobody else would destroy their resources.
        async with User.connect(landlord) as user:
            tenants = await user.tenants()
        engines = [registry.engine(name) for name in registry]
        results = await asyncio.gather(
            *(
                engine.destroy(tenant, engine.location(engine.config_defaults()))
                for engine in engines
                for tenant in tenants
            ),
            return_exceptions=True,
        )
        for error in (result for result in results if isinstance(result, BaseException)):
            raise error


async def _await_unless_stopped(control: host.Control, work: Coroutine[object, object, T]) -> T:
    """Await ``work``, and cancel it at the first signal.

    Raises:
        _Stopped: A signal came first.
    """
    working = asyncio.create_task(work)
    stopping = asyncio.create_task(control.stop.wait())
    try:
        await asyncio.wait((working, stopping), return_when=asyncio.FIRST_COMPLETED)
        if working.done():
            return working.result()
        raise _Stopped
    finally:
        for task in (working, stopping):
            task.cancel()
        await asyncio.wait((working, stopping))


def find_free_port() -> int:
    """Find a port of loopback that is free at this moment."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port: int = listener.getsockname()[1]
        return port
