"""The compute engine ``crashing-process``: ``process`` that kills itself with SIGKILL at a failpoint.

    crash_at: update:written    the failpoint, of the engine or of the runner
    victim: worker              the process to kill: worker or runner

`run_all_jobs` runs jobs with this engine, one after the other, and prints the answers.
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
from landlord_engines_core.compute import (
    ComputeContext,
    ComputeEngineFactory,
    ComputeEngineInfo,
)
from landlord_engines_core.compute.process import ProcessCompute
from landlord_engines_core.compute.process.settings import ProcessSettings
from landlord_test_target import crashing_runner
from landlord_test_target.compute_engines import make_compute_engine
from landlord_test_target.in_memory import InMemorySteps, build_tenant_jobs


@attrs.frozen(kw_only=True)
class CrashingSettings(ProcessSettings):
    """The settings of ``process``, and the failpoint.

    Attributes:
        crash_at: The failpoint.
        victim: The process that is killed there.
    """

    crash_at: str = ""
    victim: str = "worker"


def _create(context: ComputeContext) -> ProcessCompute:
    settings: CrashingSettings = context.settings
    point = settings.crash_at

    def reached(at: str) -> None:
        if at == point:
            os.kill(os.getpid(), signal.SIGKILL)

    worker = str(os.getpid()) if settings.victim == "worker" else "0"
    launch = (sys.executable, crashing_runner.__file__, point, worker)
    return ProcessCompute(context=context, reached=reached, runner=launch)


factory = ComputeEngineFactory(
    info=ComputeEngineInfo(name="crashing-process", contract=1),
    settings_type=CrashingSettings,
    create_engine=_create,
)


def run_all_jobs(settings: Mapping[str, object], bodies: Sequence[Mapping[str, Any]]) -> None:
    """Run jobs in this process."""
    asyncio.run(_run_all_jobs(settings, bodies))


async def _run_all_jobs(
    settings: Mapping[str, object], bodies: Sequence[Mapping[str, Any]]
) -> None:
    tenants = build_tenant_jobs(
        ("process", make_compute_engine(factory, settings)), health_timeout=20.0, step_timeout=60.0
    )
    for number, body in enumerate(bodies):
        answer = await tenants.run(json.dumps(body).encode(), InMemorySteps(str(number)))
        print(codec.dumps(answer).decode(), flush=True)  # noqa: T201  # the caller reads it
