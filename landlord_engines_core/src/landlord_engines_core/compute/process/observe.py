"""Observation of a tenant's process."""

import asyncio
import math

from landlord_engines_core.compute.contract import Observation, ResourceState
from landlord_engines_core.compute.in_flight import begin_observation
from landlord_engines_core.compute.process.folder import Folder, FolderState
from landlord_engines_core.compute.process.health import check_health
from landlord_engines_core.compute.process.requests import backoff_delays

__all__ = ["observe", "resource_ids", "wait_decided"]


async def observe(folder: Folder) -> tuple[FolderState, Observation]:
    """Read a tenant's folder and check its command's health."""
    begin_observation()
    files = await asyncio.to_thread(folder.read)
    if (state := files.state) is None:
        return files, Observation(state=ResourceState.MISSING)
    health, detail = ResourceState.FAILED, files.failure
    if not detail:
        health, detail = await check_health(state.wanted, files.run_status)
    # A pending update was never healthy. Its hash is left out: the worker then sees a difference, and the
    # next attempt completes the update.
    reported = state.last_healthy if state.pending and state.last_healthy else state.wanted
    return files, Observation(
        state=health,
        config_hash="" if state.pending else reported.config_hash,
        key_hashes=reported.key_hashes,
        resource_ids=resource_ids(files),
        detail=detail,
    )


async def wait_decided(folder: Folder) -> tuple[FolderState, Observation]:
    """Wait until the command is healthy or has failed; the start period bounds the wait."""
    delays = backoff_delays(math.inf)
    while True:
        files, observation = await observe(folder)
        if observation.state is not ResourceState.STARTING:
            return files, observation
        await asyncio.sleep(next(delays))


def resource_ids(files: FolderState) -> dict[str, str]:
    """Return the port and the process id for the tenant's record."""
    if files.state is None:
        return {}
    ids = {"port": str(files.state.wanted.port)}
    if files.run_status is not None and files.run_status.child:
        ids["pid"] = str(files.run_status.child)
    return ids
