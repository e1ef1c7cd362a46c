"""A program that runs jobs with the engine ``docker`` and kills itself with SIGKILL at a failpoint.

    echo '{"crash_at": "update:stopped", "bodies": [{...}]}' \
        | python -m landlord_test_target.docker_crashing

runs the jobs one after the other, and prints the answers.
"""

import asyncio
import json
import os
import signal
import sys
from collections.abc import Mapping
from typing import Any

from landlord_engines_core import codec
from landlord_test_target.compute_engines import docker_engine
from landlord_test_target.docker import SETTINGS
from landlord_test_target.in_memory import InMemorySteps, build_tenant_jobs


async def carry_out(crash_at: str, bodies: list[Mapping[str, Any]]) -> None:
    def reached(point: str) -> None:
        if point == crash_at:
            os.kill(os.getpid(), signal.SIGKILL)

    engine = docker_engine(SETTINGS, reached=reached)
    tenants = build_tenant_jobs(("docker", engine), health_timeout=20.0, step_timeout=60.0)
    for number, body in enumerate(bodies):
        answer = await tenants.run(json.dumps(body).encode(), InMemorySteps(str(number)))
        print(codec.dumps(answer).decode(), flush=True)  # noqa: T201  # it is what was asked for
    await engine.aclose()


if __name__ == "__main__":
    asyncio.run(carry_out(**json.load(sys.stdin)))
