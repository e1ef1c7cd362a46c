"""Landlord in memory as a program, which reads Landlord's own settings file as Landlord does."""

import asyncio
from pathlib import Path

from landlord_engines_core import host, logs
from landlord_engines_core.devserver import landlord_in_memory
from landlord_engines_core.metrics import Metrics
from landlord_engines_core.plugins import find_compute_settings
from landlord_engines_core.settings import Sources
from landlord_engines_restate import RestateSettings
from landlord_engines_restate.admin import AdminClient
from landlord_engines_restate.local.dispatcher import RestateDispatcher

FILE = Path("/etc/landlord/config.yaml")


async def main() -> None:
    sources = Sources.gather(FILE, {}, {}, compute_type=find_compute_settings)
    settings = sources.load("restate", RestateSettings).settings
    logger = logs.configure(level=settings.log.level, form=settings.log.format)
    dispatcher = RestateDispatcher(
        ingress=str(settings.engine.endpoint),
        admin=AdminClient(settings.engine.admin_url),
        service=settings.engine.names.service,
    )
    async with landlord_in_memory(
        dispatcher,
        compute=host.build_registry(settings, logger, Metrics()),
        logger=logger,
        listen_host=sources.document["http"]["host"],
        port=sources.document["http"]["port"],
    ):
        await asyncio.Event().wait()


asyncio.run(main())
