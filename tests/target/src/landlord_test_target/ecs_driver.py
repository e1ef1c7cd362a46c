"""One operation of the ECS engine in its own process, which kills itself at a given failpoint.

Usage: python -m landlord_test_target.ecs_driver ENDPOINT OPERATION TENANT CONFIG POINT
"""

import asyncio
import json
import os
import signal
import sys

import attrs

from landlord_engines_core.compute import ComputeSpec
from landlord_engines_core.models import config_hash, key_hashes
from landlord_test_target.compute_engines import ecs_engine


async def main(endpoint: str, operation: str, tenant: str, config_text: str, point: str) -> None:
    def reached(name: str) -> None:
        if name == point:
            os.kill(os.getpid(), signal.SIGKILL)

    config = json.loads(config_text)
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


if __name__ == "__main__":
    asyncio.run(main(*sys.argv[1:]))
