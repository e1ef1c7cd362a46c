"""Landlord in memory, put together."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import attrs

from landlord_engines_core.compute import ComputeRegistry
from landlord_engines_core.devserver.api import Api, listening
from landlord_engines_core.devserver.controller import Controller, Intervals
from landlord_engines_core.devserver.records import Tenants
from landlord_engines_core.devserver.tenant_api import TenantApi
from landlord_engines_core.engine import Dispatcher
from landlord_engines_core.logs import Logger

__all__ = ["LandlordInMemory", "landlord_in_memory"]


@attrs.frozen(kw_only=True)
class LandlordInMemory:
    """A running Landlord.

    Attributes:
        url: Its base URL, for ``worker.landlord_api_url`` and for people.
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
    host: str = "127.0.0.1",
    port: int = 0,
) -> AsyncIterator[LandlordInMemory]:
    """Run a Landlord whose tenants live and die with this context.

    Args:
        dispatcher: The workflow backend, of any worker engine.
        compute: The compute engines that it knows and validates with; it makes nothing on them.
        logger: Where the controller tells what went wrong.
        intervals: How often it looks; a second each as in Landlord's examples.
        max_retries: After so many reconcile errors in a row a tenant fails.
        host: Where the API listens.
        port: Its port; 0 lets the system choose.

    Raises:
        OSError: It cannot listen there.
    """
    tenants = Tenants()
    desk = TenantApi(tenants=tenants, compute=compute, dispatcher=dispatcher, logger=logger)
    controller = Controller(
        tenants=tenants,
        dispatcher=dispatcher,
        intervals=intervals or Intervals(),
        max_retries=max_retries,
        logger=logger,
    )
    async with listening(Api(desk), host, port) as url:
        running = asyncio.create_task(controller.run())
        try:
            yield LandlordInMemory(url=url)
        finally:
            running.cancel()
            await asyncio.wait((running,))
