"""What a job may ask of the backend that runs it: durable steps and the tenant's lock."""

from collections.abc import Awaitable, Callable
from typing import Protocol, TypeVar

import attrs

from landlord_engines_core.models import JobStart, Record, Transition

__all__ = ["NONE_LOST", "LostAttempts", "Steps"]

T = TypeVar("T")


@attrs.frozen(kw_only=True)
class LostAttempts:
    """Attempts of a job that began and never ended: their worker was killed.

    Attributes:
        count: How many there were in a row, since the job last got on or failed by itself.
        is_new: Whether no attempt has begun and ended since the last of them.
    """

    count: int = 0
    is_new: bool = False


NONE_LOST = LostAttempts()
"""What a backend says that does not count them."""


class Steps(Protocol):
    """One job's view of its backend; each worker engine has its own.

    The order and the names of the calls are fixed (see `landlord_engines_core.tenants`), so that a
    backend which replays a journal finds the same calls in it.
    """

    @property
    def execution_id(self) -> str:
        """What the backend calls this job; the same in each attempt."""

    async def run(self, name: str, action: Callable[[], Awaitable[T]], kind: type[T]) -> T:
        """Run a step, at least once, and remember its value where the backend can.

        Args:
            name: The step's name in the journal.
            action: Does the work; it may be run again and must converge.
            kind: The attrs class of the value, for reading it back.

        Raises:
            InvalidJob: As the action raised it, or the backend's own error that ends the job so.
            Superseded: As the action raised it.
        """

    async def acquire(self, tenant: str, note: JobStart) -> Record:
        """Take the tenant's lock and hold it until the job has ended.

        Of several jobs the one dispatched last gets it; whoever holds it gives way. ``note`` is
        durable before this returns.

        Returns:
            The tenant's record, with the note in it; it may lack the transitions of other jobs.

        Raises:
            Superseded: A job that was dispatched later has, or had, the lock.
        """

    async def complete(self, tenant: str, transition: Transition) -> None:
        """Write what the job did into the tenant's record."""

    async def read_record(self, tenant: str) -> Record:
        """Read the record inside an action, without acquiring the lock and without a journal entry.

        Raises:
            Superseded: The lock went to a job that was dispatched later.
            Transient: The backend did not answer.
        """

    async def lost_attempts(self) -> LostAttempts:
        """Count the lost attempts of this job, outside of any step and without a journal entry.

        It costs a question at most where an earlier attempt did not end in this process, and never
        fails: a backend that does not answer is one that counted none.
        """
