"""Local backends: a restate-server as a process or in a container."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

from landlord_engines_core.engine import LocalBackend
from landlord_engines_core.errors import PluginImportFailed
from landlord_engines_restate.admin import AdminClient
from landlord_engines_restate.local.binary import server_binary
from landlord_engines_restate.local.dispatcher import RestateDispatcher
from landlord_engines_restate.local.server import LocalServer, RestateServer, free_ports
from landlord_engines_restate.settings import RestateSettings

__all__ = ["container_backend", "local_backend"]


@asynccontextmanager
async def local_backend(settings: RestateSettings, folder: Path) -> AsyncIterator[LocalBackend]:
    """Run a restate-server on free ports of loopback, with its data in ``folder``.

    The backend reads only the service's name from ``settings``, and provides the endpoints.

    Raises:
        EngineFailed: restate-server is missing and cannot be installed, or does not start.
    """
    server = RestateServer(binary=await server_binary(), folder=folder)
    async with _run_backend(server, settings) as backend:
        yield backend


@asynccontextmanager
async def container_backend(settings: RestateSettings, folder: Path) -> AsyncIterator[LocalBackend]:
    """Run a restate-server in a container of this machine's Docker daemon.

    The image is built from the binary that `local_backend` runs, so nothing is pulled. Container and
    image are removed when the backend ends.

    Raises:
        PluginImportFailed: testcontainers is not installed.
        EngineFailed: restate-server or the Docker daemon is missing, or the server does not start.
    """
    try:
        from landlord_engines_restate.local.container import RestateContainer  # noqa: PLC0415  # may be missing
    except ModuleNotFoundError as error:
        raise PluginImportFailed(
            f"a restate-server in a container needs {error.name}, which is not installed",
            hint="pip install 'landlord-engines-restate[container]'",
        ) from error
    server = RestateContainer(binary=await server_binary(), folder=folder)
    async with _run_backend(server, settings) as backend:
        yield backend


@asynccontextmanager
async def _run_backend(
    server: LocalServer, settings: RestateSettings
) -> AsyncIterator[LocalBackend]:
    await server.start()
    admin = AdminClient(server.admin_endpoint)
    try:
        yield LocalBackend(
            settings={
                "endpoint": server.endpoint,
                "admin_endpoint": server.admin_endpoint,
                **_worker_address(),
            },
            dispatcher=RestateDispatcher(
                ingress=server.endpoint, admin=admin, service=settings.names.unprefixed_service
            ),
            more_workers=_worker_address,
        )
    finally:
        await admin.aclose()
        await server.stop()


def _worker_address() -> dict[str, str]:
    return {"worker_address": f"127.0.0.1:{free_ports()[0]}"}
