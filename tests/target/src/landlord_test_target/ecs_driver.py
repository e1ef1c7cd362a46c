"""One operation of the ECS engine in its own process, which kills itself at a given failpoint."""

import asyncio
import os
import signal
from collections.abc import Mapping
from typing import Any

import attrs

from landlord_engines_core.compute import ComputeSpec
from landlord_engines_core.models import config_hash, key_hashes
from landlord_test_target.compute_engines import ecs_engine

__all__ = ["run"]


def run(*arguments: Any) -> None:
    """Run one operation, and kill this process at its failpoint."""
    asyncio.run(_run(*arguments))


async def _run(
    endpoint: str, operation: str, tenant: str, config: Mapping[str, object], point: str
) -> None:
    def reached(name: str) -> None:
        if name == point:
            os.kill(os.getpid(), signal.SIGKILL)

    engine = attrs.evolve(ecs_engine({"endpoint_url": endpoint}), reached=reached)
    location = engine.location(config)
    if operation == "destroy":
        await engine.destroy(tenant, location)
    else:
        await engine.provision(
            ComputeSpec(
                tenant=tenant,
                name="acme",
                location=location,
                config=config,
                config_hash=config_hash(config),
                key_hashes=key_hashes(config),
            )
        )
