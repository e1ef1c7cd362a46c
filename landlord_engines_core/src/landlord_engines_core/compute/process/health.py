"""Health of a tenant's command.

A runner is a small process of each tenant. It starts the command, waits for its end and writes its
status.
"""

import asyncio
import time

from landlord_engines_core.compute.contract import ResourceState
from landlord_engines_core.compute.health_check import is_http_success, open_connection
from landlord_engines_core.compute.process.config import Health
from landlord_engines_core.compute.process.folder import Run, RunnerStatus
from landlord_engines_core.compute.process.runner import boot_clock

__all__ = ["STABLE_AFTER", "check_health"]

STABLE_AFTER = 1.0
"""Seconds after which a running command without a health check is healthy."""

_ANSWER_TIMEOUT = 5.0
"""Seconds for one answer; a shorter start period shortens it."""


async def check_health(run: Run, status: RunnerStatus | None) -> tuple[ResourceState, str]:
    """Return the health of a command whose runner is alive, and the reason if it failed."""
    if status is None:
        # The runner has not written its status yet.
        return ResourceState.STARTING, ""
    check = run.config.health
    if check is None:
        is_starting = _started_within(status, STABLE_AFTER)
        return (ResourceState.STARTING if is_starting else ResourceState.HEALTHY), ""
    if await _run_check(run.port, check):
        return ResourceState.HEALTHY, ""
    if _started_within(status, check.within):
        return ResourceState.STARTING, ""
    # After the start period one missed check is a failure. The worker engine retries the step, and
    # `reconcile` checks the command once more before it restarts the command.
    return ResourceState.FAILED, "the command does not pass its health check"


def _started_within(status: RunnerStatus, seconds: float) -> bool:
    # Older versions stored only wall-clock time. If that clock was set back, the age is negative. Treat
    # that as old, or the command would be starting indefinitely.
    age = boot_clock() - status.uptime if status.uptime else time.time() - status.started
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
