"""Jobs with the engine ``docker``, whose process kills itself with SIGKILL at a failpoint."""

import asyncio
import json
import os
import signal
from collections.abc import Mapping, Sequence
from typing import Any

from landlord_engines_core import codec
from landlord_test_target.compute_engines import docker_engine
from landlord_test_target.docker import SETTINGS
from landlord_test_target.in_memory import InMemorySteps, build_tenant_jobs


def run_all_jobs(crash_at: str, bodies: Sequence[Mapping[str, Any]]) -> None:
    """Run the jobs one after the other, and print the answers."""
    asyncio.run(_run_all_jobs(crash_at, bodies))


async def _run_all_jobs(crash_at: str, bodies: Sequence[Mapping[str, Any]]) -> None:
    def reached(point: str) -> None:
        if point == crash_at:
            os.kill(os.getpid(), signal.SIGKILL)

    engine = docker_engine(SETTINGS, reached=reached)
    tenants = build_tenant_jobs(("docker", engine), health_timeout=20.0, step_timeout=60.0)
    for number, body in enumerate(bodies):
        answer = await tenants.run(json.dumps(body).encode(), InMemorySteps(str(number)))
        print(codec.dumps(answer).decode(), flush=True)  # noqa: T201  # the caller reads it
    await engine.aclose()
