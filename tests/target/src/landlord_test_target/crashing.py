"""The compute engine ``crashing-process``: ``process``, killed with -9 at a point of its settings.

    crash_at: update:written    the point, also one of the runner's
    victim: worker              or runner, for the runner's points

`carry_out` carries out jobs with it, one after the other, and prints the answers.
"""

import asyncio
import json
import os
import signal
import sys
from collections.abc import Mapping, Sequence
from typing import Any

import attrs

from landlord_engines_core import codec
from landlord_engines_core.compute.process import ProcessCompute, create_process
from landlord_test_target import crashing_runner
from landlord_test_target.in_memory import InMemorySteps, build_tenant_jobs


def create_crashing(settings: Mapping[str, object]) -> ProcessCompute:
    own = {"crash_at": "", "victim": "worker"}
    point, victim = (str(settings.get(key, default)) for key, default in own.items())
    engine = create_process({key: value for key, value in settings.items() if key not in own})

    def reached(at: str) -> None:
        if at == point:
            os.kill(os.getpid(), signal.SIGKILL)

    worker = str(os.getpid()) if victim == "worker" else "0"
    launch = (sys.executable, crashing_runner.__file__, point, worker)
    return attrs.evolve(engine, reached=reached, runner=launch)


def carry_out(settings: Mapping[str, object], bodies: Sequence[Mapping[str, Any]]) -> None:
    """Run jobs in this process."""
    asyncio.run(_carry_out(settings, bodies))


async def _carry_out(settings: Mapping[str, object], bodies: Sequence[Mapping[str, Any]]) -> None:
    tenants = build_tenant_jobs(
        ("process", create_crashing(settings)), health_timeout=20.0, step_timeout=60.0
    )
    for number, body in enumerate(bodies):
        answer = await tenants.run(json.dumps(body).encode(), InMemorySteps(str(number)))
        print(codec.dumps(answer).decode(), flush=True)  # noqa: T201  # it is what was asked for
