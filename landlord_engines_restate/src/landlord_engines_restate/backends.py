"""Local backends that need more than what is always installed."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

from landlord_engines_core.engine import LocalBackend
from landlord_engines_core.errors import PluginImportFailed
from landlord_engines_restate.local import backend_on, server_binary
from landlord_engines_restate.settings import RestateSettings

__all__ = ["container_backend"]


@asynccontextmanager
async def container_backend(settings: RestateSettings, folder: Path) -> AsyncIterator[LocalBackend]:
    """Run a restate-server in a container on this machine's Docker engine.

    The image is made here, of the same program as the other local backend runs, and nothing is
    pulled. Container and image are removed in the end.

    Raises:
        PluginImportFailed: testcontainers is not installed.
        EngineFailed: There is no restate-server, or no Docker engine, or it does not start.
    """
    try:
        from landlord_engines_restate.container import RestateContainer  # noqa: PLC0415  # may be missing
    except ModuleNotFoundError as error:
        raise PluginImportFailed(
            f"a restate-server in a container needs {error.name}, which is not installed",
            hint="pip install 'landlord-engines-restate[container]'",
        ) from error
    server = RestateContainer(binary=await server_binary(), folder=folder)
    async with backend_on(server, settings) as backend:
        yield backend
