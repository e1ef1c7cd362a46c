"""Restate services of the tests, on an endpoint of their own."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from restate import Service, VirtualObject
from restate.endpoint import Endpoint

from landlord_engines_restate.endpoint.server import App, HttpServer, open_sockets
from landlord_test_target.harness import Harness, free_port
from landlord_test_target.in_memory import RecordingLogger


@asynccontextmanager
async def serve_services(
    harness: Harness, *services: Service | VirtualObject
) -> AsyncIterator[None]:
    """Serve these services, registered as the latest version."""
    endpoint = Endpoint()  # type: ignore[no-untyped-call]  # the SDK leaves it so
    for service in services:
        endpoint.bind(service)
    app: App = endpoint.app()  # type: ignore[no-untyped-call]  # as above
    port = free_port()
    server = HttpServer(app, most_connections=100, logger=RecordingLogger())
    listening = asyncio.Event()
    task = asyncio.create_task(server.serve(open_sockets("127.0.0.1", port), listening.set))
    try:
        await listening.wait()
        await harness.admin.register(f"http://127.0.0.1:{port}", force=False, metadata={})
        yield
    finally:
        await server.stop(grace=0)
        await task
