"""Stand-in for Landlord: sends, polls and kills jobs in the file."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, closing
from pathlib import Path

import attrs

from landlord_engine_direct.store import JobState, Store
from landlord_engines_core.api import LocalBackend, PolledExecution, PolledState

__all__ = ["DirectDispatcher", "local_backend"]

_LANDLORD_STATES = {
    JobState.QUEUED: PolledState.PENDING,
    JobState.RUNNING: PolledState.RUNNING,
    JobState.BACKING_OFF: PolledState.BACKING_OFF,
    JobState.COMPLETED: PolledState.SUCCEEDED,
}
"""Landlord's state for each state of a job; all other states are failures."""


@attrs.frozen
class DirectDispatcher:
    """Dispatcher with a separate connection, so that it needs no worker."""

    store: Store

    async def dispatch(self, body: bytes) -> str:
        """Queue a job."""
        return str(self.store.send(body))

    async def poll(self, execution_id: str) -> PolledExecution | None:
        """Read the state of a job."""
        if (job := self.store.job(int(execution_id))) is None:
            return None
        state = _LANDLORD_STATES.get(job.state, PolledState.FAILED)
        return PolledExecution(state=state, retry_count=job.attempts, error=job.reason)

    async def kill(self, execution_id: str) -> None:
        """Mark a job as killed; the worker stops it at its next poll."""
        self.store.mark(int(execution_id), JobState.KILLED)


@asynccontextmanager
async def local_backend(settings: object, folder: Path) -> AsyncIterator[LocalBackend]:
    """Use a file in this folder as the backend, whatever the settings are."""
    _ = settings
    folder.mkdir(parents=True, exist_ok=True)  # noqa: ASYNC240  # takes microseconds
    path = folder / "jobs.db"
    with closing(Store(path)) as store:
        yield LocalBackend(settings={"path": str(path)}, dispatcher=DirectDispatcher(store))
