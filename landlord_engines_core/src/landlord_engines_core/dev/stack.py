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
from landlord_engines_core.dev.guard import guarded
from landlord_engines_core.dev.user import User
from landlord_engines_core.devserver import landlord_in_memory
from landlord_engines_core.engine import EngineFactory, LocalBackend, StartLocalBackend
from landlord_engines_core.errors import CapabilityNotSupported, SettingsError
from landlord_engines_core.landlord import add_version
from landlord_engines_core.logs import Logger
from landlord_engines_core.settings import Settings, Sources, Url
from landlord_engines_core.settings.tree import attribute

__all__ = ["EngineSelection", "Foreground", "Stack", "free_port", "run"]

T = TypeVar("T")


@attrs.frozen(kw_only=True)
class EngineSelection:
    """A worker engine, and what was said of its settings.

    Attributes:
        backend: Which of its other local backends to use; ``None`` means the one without a name.
    """

    name: str
    factory: EngineFactory
    sources: Sources
    backend: str | None = None

    def settings(self, above: Mapping[str, str]) -> Settings:
        """All settings, with these over them."""
        sources = attrs.evolve(self.sources, flags={**self.sources.flags, **above})
        return sources.load(self.name, self.factory.settings_type).settings


@attrs.frozen(kw_only=True)
class Stack:
    """What is up, and where.

    Attributes:
        landlord: Landlord's API, its version included.
        backend: The settings by which the worker reaches the backend.
        probes: The worker's probes.
    """

    landlord: str
    backend: Mapping[str, str]
    probes: str


Foreground = Callable[[Stack], Awaitable[None]]
"""What is done while all of it is up; when it returns, all of it is ended."""


class _Stopped(Exception):  # not an error: a signal asked for it
    """A signal came before the worker ran."""


async def run(chosen: EngineSelection, logger: Logger, foreground: Foreground) -> None:
    """Bring everything up, and end it after ``foreground`` has returned or at the first signal.

    Nothing is left running, tenants included, and no file is left.

    Args:
        chosen: The worker engine; what the local parts need goes above its settings.
        logger: Where everything logs.
        foreground: Called once the worker is registered.

    Raises:
        CapabilityNotSupported: The engine has no local backend, or none of this name.
        LandlordEnginesError: A part did not start, or failed.
    """
    control = host.Control()
    with host.handle_signals(control, logger):
        async with AsyncExitStack() as parts:
            try:
                starting = _up(chosen, logger, parts)
                stack, settings = await _unless_stopped(control, starting)
            except _Stopped:
                return
            worker = host.run_worker(
                chosen.name, chosen.factory, settings, logger, control, fail_fast=True
            )
            await _with_worker(worker, control, lambda: foreground(stack))


async def _up(
    chosen: EngineSelection, logger: Logger, parts: AsyncExitStack
) -> tuple[Stack, Settings]:
    """Start backend and Landlord; they end with ``parts``, after the worker and its tenants."""
    folder = parts.enter_context(_temporary_folder())
    parts.enter_context(guarded(folder))
    start = _local_backend(chosen)
    given = chosen.settings({})
    backend = await parts.enter_async_context(start(given.engine, folder / "backend"))
    local = _backends(chosen.name, backend)
    if not given.compute:
        local["compute"] = json.dumps({"process": {"folder": str(folder / "tenants")}})
    settings = chosen.settings(local)
    registry = host.build_registry(settings)
    parts.push_async_callback(registry.aclose)
    landlord = await parts.enter_async_context(
        landlord_in_memory(backend.dispatcher, compute=registry, logger=logger)
    )
    url = add_version(landlord.url)
    await parts.enter_async_context(_without_tenants(registry, url))
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
        made = TemporaryDirectory(prefix="landlord-dev-")
    except OSError as error:
        raise SettingsError(
            f"no folder for temporary files can be written to: {error.strerror}",
            hint="set TMPDIR to one that this user may write to",
        ) from None
    with made as folder:
        yield Path(folder)


def _local_backend(chosen: EngineSelection) -> StartLocalBackend:
    named = chosen.factory.other_local_backends
    start = chosen.factory.local_backend if chosen.backend is None else named.get(chosen.backend)
    if start is not None:
        return start
    name = "" if chosen.backend is None else f" {chosen.backend!r}"
    listed = f"--backend takes {', '.join(sorted(named))}" if named else "use --engine restate"
    raise CapabilityNotSupported(
        f"worker engine {chosen.name!r} has no local backend{name}",
        hint=f"{listed}, or see the engine's documentation",
    )


def _backends(name: str, backend: LocalBackend) -> dict[str, str]:
    """The settings that only hold for a backend on this machine, by path."""
    section = f"workflow.{attribute(name)}"
    local = {f"{section}.{key}": value for key, value in backend.settings.items()}
    return {**local, "worker.probe_address": f"127.0.0.1:{free_port()}"}


async def _with_worker(
    worker: Coroutine[object, object, None],
    control: host.Control,
    foreground: Callable[[], Awaitable[None]],
) -> None:
    """Run the worker, and beside it what waits for its registration; end both with the first."""

    async def once_registered() -> None:
        await control.registered.wait()
        await foreground()

    working = asyncio.create_task(worker)
    looking = asyncio.create_task(once_registered())
    try:
        await asyncio.wait((working, looking), return_when=asyncio.FIRST_COMPLETED)
    finally:
        looking.cancel()
        control.stop.set()
        await asyncio.wait((working, looking))
    working.result()
    if not looking.cancelled():
        looking.result()


@asynccontextmanager
async def _without_tenants(registry: ComputeRegistry, landlord: str) -> AsyncIterator[None]:
    """Destroy in the end what tenants have left: their Landlord forgets them."""
    try:
        yield
    finally:
        async with User.connect(landlord) as user:
            tenants = await user.tenants()
        engines = [registry.engine(name) for name in registry]
        ended = await asyncio.gather(
            *(
                engine.destroy(tenant, engine.location(engine.config_defaults()))
                for engine in engines
                for tenant in tenants
            ),
            return_exceptions=True,
        )
        for error in (one for one in ended if isinstance(one, BaseException)):
            raise error


async def _unless_stopped(control: host.Control, work: Coroutine[object, object, T]) -> T:
    """Give up what is under way at the first signal.

    Raises:
        _Stopped: The signal came.
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


def free_port() -> int:
    """A port of loopback that was free a moment ago."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port: int = listener.getsockname()[1]
        return port
