"""The queue as a local backend, with a dispatcher in the process that asks for it."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, closing
from pathlib import Path

import attrs

from landlord_engines_core.engine import LocalBackend
from landlord_engines_core.models import PolledExecution, PolledState
from landlord_test_target.queue_engine.store import Store

__all__ = ["QueueDispatcher", "local_backend"]

_STATES = {"done": PolledState.SUCCEEDED, "superseded": PolledState.SUCCEEDED}
"""The states of ended jobs that are no failures."""


@attrs.frozen
class QueueDispatcher:
    """Dispatcher that writes into the queue."""

    store: Store

    async def dispatch(self, body: bytes) -> str:
        """Queue a job."""
        return str(self.store.send(body))

    async def poll(self, execution_id: str) -> PolledExecution | None:
        """Read the state of a job."""
        if (job := self.store.job(int(execution_id))) is None:
            return None
        if not job.is_open:
            return PolledExecution(state=_STATES.get(job.state, PolledState.FAILED))
        if job.is_leased:
            return PolledExecution(state=PolledState.RUNNING, retry_count=job.attempt)
        state = PolledState.BACKING_OFF if job.attempt else PolledState.PENDING
        return PolledExecution(state=state, retry_count=job.attempt, error=job.reason)

    async def kill(self, execution_id: str) -> None:
        """Mark a job as killed; its worker stops it when it extends its leases."""
        self.store.stop(int(execution_id), "killed")


@asynccontextmanager
async def local_backend(settings: object, folder: Path) -> AsyncIterator[LocalBackend]:
    """Use a file in this folder as the queue."""
    _ = settings
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / "jobs.db"
    # SQLite gives its further files the mode of the first.
    path.touch(0o600)
    with closing(Store(path)) as store:
        yield LocalBackend(
            settings={"path": str(path)}, dispatcher=QueueDispatcher(store), more_workers=dict
        )
