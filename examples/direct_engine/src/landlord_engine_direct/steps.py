"""One job's steps: nothing is journaled, the turn is a row, and the job sent last wins."""

from collections.abc import Awaitable, Callable
from contextlib import AbstractAsyncContextManager
from typing import Protocol, TypeVar

import attrs

from landlord_engine_direct.store import JobState, Store, Turn
from landlord_engines_core.errors import Superseded
from landlord_engines_core.models import Note, Record, Transition

__all__ = ["DirectSteps", "Jobs"]

T = TypeVar("T")


class Jobs(Protocol):
    """The jobs of this process, as their steps see them."""

    def taking(self, tenant: str) -> AbstractAsyncContextManager[None]:
        """Let one job after the other take this tenant's turn."""

    async def give_way(self, job_id: int) -> None:
        """Stop this job if it runs, and return when nothing of it does."""


@attrs.frozen(kw_only=True)
class DirectSteps:
    """The steps of one job, the same for all its attempts."""

    job_id: int
    store: Store
    jobs: Jobs

    @property
    def execution_id(self) -> str:
        """The row's id."""
        return str(self.job_id)

    async def run(self, name: str, action: Callable[[], Awaitable[T]], kind: type[T]) -> T:
        """Run the action: each attempt of a job runs all of them, since they converge."""
        _ = name, kind
        return await action()

    async def take(self, tenant: str, note: Note) -> Record:
        """Write this job into the tenant's turn once the one that is there has ended."""
        async with self.jobs.taking(tenant):
            holder = self._turn(tenant).job
            if holder != self.job_id:
                self.store.mark(holder, JobState.SUPERSEDED)
                await self.jobs.give_way(holder)
            record = self._turn(tenant).record.begun(self.execution_id, note)
            self.store.keep(tenant, Turn(job=self.job_id, record=record))
            return record

    async def end(self, tenant: str, transition: Transition) -> None:
        """Write what the job did into the record; it still has the turn."""
        record = self._turn(tenant).record.ended(transition)
        self.store.keep(tenant, Turn(job=self.job_id, record=record))

    async def look(self, tenant: str) -> Record:
        """Read the record."""
        return self._turn(tenant).record

    def alive(self) -> None:
        """Nothing runs out here."""

    def _turn(self, tenant: str) -> Turn:
        turn = self.store.turn(tenant)
        if turn.job > self.job_id:
            raise Superseded(f"job {turn.job} was sent later")
        return turn
