"""A stand-in for Landlord: sends, polls and kills jobs in the file."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, closing
from pathlib import Path

import attrs

from landlord_engine_sqlite.store import Job, Store
from landlord_engines_core.api import LocalBackend, PolledExecution, PolledState

__all__ = ["SqliteDispatcher", "local_backend"]


@attrs.frozen
class SqliteDispatcher:
    """Dispatcher with a connection of its own, so that it needs no worker."""

    store: Store

    async def dispatch(self, body: bytes) -> str:
        """Queue a job."""
        return str(self.store.send(body))

    async def poll(self, execution_id: str) -> PolledExecution | None:
        """Read the state of a job."""
        if (job := self.store.job(int(execution_id))) is None:
            return None
        return PolledExecution(state=_state(job), retry_count=job.attempt, error=job.reason)

    async def kill(self, execution_id: str) -> None:
        """Mark a job as killed; its worker notices when it extends its leases."""
        self.store.stop(int(execution_id), "killed")


def _state(job: Job) -> PolledState:
    """Name the state of a job as Landlord does."""
    if not job.is_open:
        return PolledState.SUCCEEDED if job.state == "done" else PolledState.FAILED
    if job.is_leased:
        return PolledState.RUNNING
    return PolledState.BACKING_OFF if job.reason else PolledState.PENDING


@asynccontextmanager
async def local_backend(settings: object, folder: Path) -> AsyncIterator[LocalBackend]:
    """Use a file in this folder as the backend, whatever the settings are."""
    _ = settings
    folder.mkdir(parents=True, exist_ok=True)  # noqa: ASYNC240  # takes microseconds
    path = folder / "jobs.db"
    with closing(Store(path)) as store:
        yield LocalBackend(
            settings={"path": str(path)}, dispatcher=SqliteDispatcher(store), more_workers=dict
        )
