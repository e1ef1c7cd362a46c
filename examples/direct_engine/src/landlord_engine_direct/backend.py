"""Landlord's side of the file: it sends jobs, asks for them and kills them."""

from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager, closing
from pathlib import Path

import attrs

from landlord_engine_direct.store import JobState, Store
from landlord_engines_core.engine import LocalBackend

__all__ = ["DirectDispatcher", "local_backend"]

_READ_AS = {
    JobState.QUEUED: ("pending", "waiting"),
    JobState.RUNNING: ("running", "running"),
    JobState.BACKING_OFF: ("running", "backing-off"),
    JobState.COMPLETED: ("succeeded", "succeeded"),
}
"""All other states are failures."""


@attrs.frozen
class DirectDispatcher:
    """Sends jobs over a connection of its own; it needs no worker to run."""

    store: Store

    async def dispatch(self, body: bytes) -> str:
        """Queue a job."""
        return str(self.store.send(body))

    async def poll(self, execution_id: str) -> Mapping[str, object]:
        """Read where a job is."""
        if (job := self.store.job(int(execution_id))) is None:
            return {"error": "execution not found"}
        state, sub_state = _READ_AS.get(job.state, ("failed", "failed"))
        return {
            "state": state,
            "sub_state": sub_state,
            "retry_count": job.attempts,
            "error": job.reason,
        }

    async def kill(self, execution_id: str) -> None:
        """Mark a job as killed; the worker stops it when it looks."""
        self.store.mark(int(execution_id), JobState.KILLED)


@asynccontextmanager
async def local_backend(settings: object, folder: Path) -> AsyncIterator[LocalBackend]:
    """A file in this folder; the settings name nothing that matters here."""
    _ = settings
    folder.mkdir(parents=True, exist_ok=True)  # noqa: ASYNC240  # microseconds, as the store
    path = folder / "jobs.db"
    with closing(Store(path)) as store:
        yield LocalBackend(settings={"path": str(path)}, dispatcher=DirectDispatcher(store))
