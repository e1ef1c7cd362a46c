"""Whether a command serves."""

import asyncio
import re
import time

from landlord_engines_core.compute.contract import ResourceState
from landlord_engines_core.compute.process.config import Health
from landlord_engines_core.compute.process.folder import Run, RunnerStatus
from landlord_engines_core.compute.process.runner import uptime

__all__ = ["condition"]

STABLE = 1.0
"""Seconds for which a command without a health check has to run."""

_WELL = re.compile(rb"HTTP/1\.[01] [23]\d\d\b")
"""The first line of an answer with a status from 200 to 399."""

_PATIENCE = 5.0
"""Seconds for one answer, or the bound where that is less; what takes longer does not serve."""


async def condition(run: Run, note: RunnerStatus | None) -> tuple[ResourceState, str]:
    """Judge a command whose runner lives, and say in words what is wrong with it."""
    if note is None:
        return ResourceState.STARTING, ""
    health = run.config.health
    if health is None:
        young = _is_young(note, STABLE)
        return (ResourceState.STARTING if young else ResourceState.HEALTHY), ""
    if await _answers(run.port, health):
        return ResourceState.HEALTHY, ""
    if _is_young(note, health.within):
        return ResourceState.STARTING, ""
    return ResourceState.FAILED, "the command does not pass its health check"


def _is_young(note: RunnerStatus, within: float) -> bool:
    # The notes of former versions have the wall clock's time alone: set back, it must not make a
    # tenant start for ever.
    age = uptime() - note.uptime if note.uptime else time.time() - note.started
    return 0 <= age < within


async def _answers(port: int, health: Health) -> bool:
    try:
        async with asyncio.timeout(min(_PATIENCE, health.within)):
            reader, writer = await asyncio.open_connection("127.0.0.1", port)
            try:
                return not health.http or await _is_well(reader, writer, port, health.http)
            finally:
                writer.transport.abort()
    except (OSError, ValueError):
        # Nobody listens, it takes too long, or what it sends is no HTTP.
        return False


async def _is_well(
    reader: asyncio.StreamReader, writer: asyncio.StreamWriter, port: int, path: str
) -> bool:
    request = f"GET {path} HTTP/1.1\r\nHost: 127.0.0.1:{port}\r\nConnection: close\r\n\r\n"
    writer.write(request.encode())
    return _WELL.match(await reader.readline()) is not None
