"""Landlord in memory: a stand-in for a real Landlord, with API, store and controller."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import attrs

from landlord_engines_core.compute import ComputeRegistry
from landlord_engines_core.devserver.api import Api, serve_api
from landlord_engines_core.devserver.controller import Controller, Intervals
from landlord_engines_core.devserver.records import Tenants
from landlord_engines_core.devserver.tenant_api import TenantApi
from landlord_engines_core.engine import Dispatcher
from landlord_engines_core.logs import Logger

__all__ = ["LandlordInMemory", "landlord_in_memory"]


@attrs.frozen(kw_only=True)
class LandlordInMemory:
    """Running stand-in for Landlord.

    Attributes:
        url: The base URL, for ``worker.landlord_api_url`` and for people.
    """

    url: str


@asynccontextmanager
async def landlord_in_memory(
    dispatcher: Dispatcher,
    *,
    compute: ComputeRegistry,
    logger: Logger,
    intervals: Intervals | None = None,
    max_retries: int = 5,
    listen_host: str = "127.0.0.1",
    port: int = 0,
) -> AsyncIterator[LandlordInMemory]:
    """Run the stand-in while the context is entered; its tenants are then forgotten.

    Args:
        dispatcher: The workflow backend of any worker engine.
        compute: The compute engines to validate with; Landlord creates nothing on them.
        logger: Receives the controller's errors.
        intervals: The controller's intervals; a second each as in Landlord's examples.
        max_retries: Consecutive reconcile errors before a tenant is marked failed.
        listen_host: The address or name to listen on.
        port: The port; 0 chooses a free one.

    Raises:
        OSError: The address is in use, or not an address of this machine.
    """
    tenants = Tenants()
    tenant_api = TenantApi(tenants=tenants, compute=compute, dispatcher=dispatcher, logger=logger)
    controller = Controller(
        tenants=tenants,
        dispatcher=dispatcher,
        intervals=intervals or Intervals(),
        max_retries=max_retries,
        logger=logger,
    )
    async with serve_api(Api(tenant_api), listen_host, port) as url:
        running = asyncio.create_task(controller.run())
        try:
            yield LandlordInMemory(url=url)
        finally:
            running.cancel()
            await asyncio.wait((running,))
