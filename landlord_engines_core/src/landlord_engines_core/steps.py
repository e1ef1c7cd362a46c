"""What a job may ask of the backend that runs it: durable steps and the tenant's turn."""

from collections.abc import Awaitable, Callable
from typing import Protocol, TypeVar

from landlord_engines_core.models import Note, Record, Transition

__all__ = ["Steps"]

T = TypeVar("T")


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

    async def take(self, tenant: str, note: Note) -> Record:
        """Take the tenant's turn and hold it until the job has ended.

        Of several jobs the one dispatched last gets it; whoever holds it gives way. ``note`` is
        durable before this returns.

        Returns:
            The tenant's record, with the note in it; it may lack the transitions of other jobs.

        Raises:
            Superseded: A job that was dispatched later has, or had, the turn.
        """

    async def end(self, tenant: str, transition: Transition) -> None:
        """Write what the job did into the tenant's record."""

    async def look(self, tenant: str) -> Record:
        """Read the record inside an action, without taking the turn and without a journal entry.

        Raises:
            Superseded: The turn went to a job that was dispatched later.
            Transient: The backend did not answer.
        """

    def alive(self) -> None:
        """Tell the backend that work goes on, where a job's lease could otherwise run out."""
