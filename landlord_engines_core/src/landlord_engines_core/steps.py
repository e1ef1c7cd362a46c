"""The backend as one job sees it: durable steps, the tenant's lock and its record."""

from collections.abc import Awaitable, Callable
from typing import Protocol, TypeVar

import attrs

from landlord_engines_core.models import JobStart, Record, Transition

__all__ = ["NONE_LOST", "LostAttempts", "Steps"]

T = TypeVar("T")


@attrs.frozen(kw_only=True)
class LostAttempts:
    """Attempts of a job that began and never ended, because their worker was killed.

    Attributes:
        count: How many there were in a row, since the job last made progress or failed with an error.
        is_new: Whether the attempt directly before this one was lost.
        is_retry: Whether an attempt before this one failed in any way, or was lost, since the job last
            made progress. A backend that repeats all steps at a retry need not set it.
    """

    count: int = 0
    is_new: bool = False
    is_retry: bool = False


NONE_LOST = LostAttempts()
"""The answer of a backend that does not count lost attempts."""


class Steps(Protocol):
    """One job's view of its backend; each worker engine implements it.

    The order and the names of the calls are fixed: see `landlord_engines_core.tenants`. A backend that
    replays a journal finds the same calls in it.
    """

    @property
    def execution_id(self) -> str:
        """The backend's id of this job, the same in each attempt."""

    async def run(self, name: str, action: Callable[[], Awaitable[T]], kind: type[T]) -> T:
        """Run a step at least once, and journal its value if the backend has a journal.

        Core bounds the action by its own ``step_timeout``, and the engine adds no limit. An error of
        the action fails the attempt, and no value is journaled.

        Args:
            name: The step's name in the journal.
            action: The work. It may run several times, and must converge.
            kind: The attrs class of the value, to read it from the journal.

        Raises:
            InvalidJob: The action raised it. A backend may raise its own error instead, which ends
                the job in the same way.
            Superseded: The action raised it.
        """

    async def acquire(self, tenant: str, start: JobStart) -> Record:
        """Acquire the tenant's lock, and keep it until the job has ended.

        The job dispatched last preempts the holder: it cancels the holder's task, and waits for its
        end. The start is durable before this returns. A later attempt of the holder gets the lock at
        once.

        Returns:
            The tenant's record with the start in it. It may lack the transitions of other jobs.

        Raises:
            Superseded: A job dispatched later has, or had, the lock.
        """

    async def complete(self, tenant: str, transition: Transition) -> None:
        """Write the job's transition into the tenant's record, durably and once.

        The job has ended only when `RunJob` has returned. A later attempt may complete again, and
        changes nothing then.
        """

    async def read_record(self, tenant: str) -> Record:
        """Read the tenant's record inside an action, without the lock and without a journal entry.

        Raises:
            Superseded: A job dispatched later has the lock.
            ExecutionEnded: The backend shows this execution as ended, for example killed.
            StillRunning: Only for a resync: the job before it has not ended.
            Transient: The backend did not answer.
        """

    async def lost_attempts(self) -> LostAttempts:
        """Count this job's lost attempts, outside of any step and without a journal entry.

        The call never fails: without the backend's answer it returns `NONE_LOST`. An engine need
        not ask on a first attempt, or if the previous attempt ended in this process.
        """
