"""Health of a tenant's command."""

import asyncio
import time

from landlord_engines_core.compute.contract import ResourceState
from landlord_engines_core.compute.health_check import is_http_success, open_connection
from landlord_engines_core.compute.process.config import Health
from landlord_engines_core.compute.process.folder import Run, RunnerStatus
from landlord_engines_core.compute.process.runner import uptime

__all__ = ["STABLE", "check_health"]

STABLE = 1.0
"""Seconds after which a running command without a health check is healthy."""

_ANSWER_TIMEOUT = 5.0
"""Seconds for one answer, or the check's own bound if that is less."""


async def check_health(run: Run, status: RunnerStatus | None) -> tuple[ResourceState, str]:
    """Judge a command whose runner lives, and describe its failure."""
    if status is None:
        return ResourceState.STARTING, ""
    check = run.config.health
    if check is None:
        is_starting = _is_younger(status, STABLE)
        return (ResourceState.STARTING if is_starting else ResourceState.HEALTHY), ""
    if await _run_check(run.port, check):
        return ResourceState.HEALTHY, ""
    if _is_younger(status, check.within):
        return ResourceState.STARTING, ""
    return ResourceState.FAILED, "the command does not pass its health check"


def _is_younger(status: RunnerStatus, seconds: float) -> bool:
    # Former versions noted the wall clock only. That clock may have been set back since, and the
    # command must not be starting for ever: an age below zero counts as old.
    age = uptime() - status.uptime if status.uptime else time.time() - status.started
    return 0 <= age < seconds


async def _run_check(port: int, check: Health) -> bool:
    try:
        async with asyncio.timeout(min(_ANSWER_TIMEOUT, check.within)):
            if check.http:
                return await is_http_success("127.0.0.1", port, check.http)
            async with open_connection("127.0.0.1", port):
                return True
    except (OSError, ValueError):
        # Nothing listens, the answer is late, or it is not HTTP.
        return False
