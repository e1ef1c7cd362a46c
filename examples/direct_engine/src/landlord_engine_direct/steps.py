"""One job's steps: nothing is journaled, the turn is a row, and the job sent last wins."""

from collections.abc import Awaitable, Callable
from contextlib import AbstractAsyncContextManager
from datetime import UTC, datetime, timedelta
from functools import partial
from typing import Protocol, TypeVar

import attrs

from landlord_engine_direct.store import JobState, Store, Turn
from landlord_engines_core.errors import ExecutionEnded, Superseded
from landlord_engines_core.models import Note, Record, Transition
from landlord_engines_core.steps import NONE_LOST, LostAttempts
from landlord_engines_core.tenants.order import Contender, IsWanted, gives_way

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
    is_wanted: IsWanted

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
            turn = self.store.turn(tenant)
            if turn.job not in (0, self.job_id):
                await self._preempt(tenant, turn, note)
            record = self.store.turn(tenant).record.begun(self.execution_id, note)
            self.store.keep(tenant, Turn(job=self.job_id, record=record))
            return record

    async def end(self, tenant: str, transition: Transition) -> None:
        """Write what the job did into the record; it still has the turn."""
        record = self._turn(tenant).record.ended(transition)
        self.store.keep(tenant, Turn(job=self.job_id, record=record))

    async def look(self, tenant: str) -> Record:
        """Read the record.

        Raises:
            ExecutionEnded: This job was killed.
        """
        record = self._turn(tenant).record
        if self.store.is_over(self.job_id):
            raise ExecutionEnded(f"job {self.job_id} was ended")
        return record

    async def lost_attempts(self) -> LostAttempts:
        """Nobody counts them: a job of a worker that was killed is taken up as it is."""
        return NONE_LOST

    def alive(self) -> None:
        """Nothing runs out here."""

    async def _preempt(self, tenant: str, turn: Turn, note: Note) -> None:
        """Have the job that took the turn last give way, or give way to it."""
        me = Contender(operation=note.operation, dispatched=_moment(self.job_id))
        ask = partial(self.is_wanted, tenant)
        if await gives_way(me, self._holder(turn), is_uuid=note.is_uuid, is_wanted=ask):
            raise Superseded(f"job {turn.job} goes first")
        self.store.mark(turn.job, JobState.SUPERSEDED)
        await self.jobs.give_way(turn.job)

    def _holder(self, turn: Turn) -> Contender:
        """The job that took the turn last; one that is over without an end in the record was killed."""
        name = str(turn.job)
        began = (one.operation for one in turn.record.transitions if one.execution_id == name)
        killed = self.store.is_over(turn.job) and not turn.record.has_ended(name)
        return Contender(operation=next(began, ""), dispatched=_moment(turn.job), killed=killed)

    def _turn(self, tenant: str) -> Turn:
        turn = self.store.turn(tenant)
        has_begun = any(one.execution_id == self.execution_id for one in turn.record.transitions)
        me = Contender(operation="", dispatched=_moment(self.job_id))
        if turn.job != self.job_id and (has_begun or self._holder(turn).is_later_than(me)):
            raise Superseded(f"job {turn.job} goes first")
        return turn


def _moment(job_id: int) -> datetime:
    """A time in the order of dispatch: one file gives ids in that order, and needs no clock."""
    return datetime.fromtimestamp(0, UTC) + timedelta(seconds=job_id)
