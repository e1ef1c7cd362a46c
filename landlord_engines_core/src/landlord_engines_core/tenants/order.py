"""Which of two jobs of one tenant goes first: the rule for every worker engine.

The job dispatched last wins, however late the other one arrives. The clocks of a backend's nodes
differ, so that Landlord decides about a delete where it can. Once Landlord has sent a delete to a
tenant with a UUID, it sends nothing but deletes.
"""

from collections.abc import Awaitable, Callable
from datetime import datetime

import attrs

from landlord_engines_core.models import Operation

__all__ = ["Contender", "IsWanted", "is_superseded"]

IsWanted = Callable[[str], Awaitable[bool | None]]
"""Function that tells whether Landlord wants the resource of the tenant with this key.

Landlord wants it where it shows the tenant as provisioning, updating or ready. The answer is ``None``
where the worker does not know Landlord's API. The function raises Transient where the API gives no
usable answer.
"""


@attrs.frozen(kw_only=True)
class Contender:
    """One of two jobs that compete for a tenant's lock.

    Attributes:
        operation: The job's operation.
        dispatched: When the backend accepted the job; ``None`` where the backend has forgotten it.
        before: A time before which the job was dispatched at the latest.
        killed: Whether the job ended without an end in the record.
    """

    operation: str
    dispatched: datetime | None = None
    before: datetime | None = None
    killed: bool = False

    @property
    def is_delete(self) -> bool:
        """Whether the job is a delete."""
        return self.operation == Operation.DELETE

    def is_later_than(self, other: "Contender") -> bool:
        """Whether this job was dispatched after the other one."""
        # A killed job supersedes nothing: Landlord or an operator gave it up.
        latest = self.dispatched or self.before
        if self.killed or latest is None or other.dispatched is None:
            return False
        if self.dispatched is None:
            return other.dispatched <= latest
        return other.dispatched < latest


async def is_superseded(
    job: Contender,
    holder: Contender,
    *,
    is_uuid: bool,
    is_wanted: Callable[[], Awaitable[bool | None]],
) -> bool:
    """Decide whether the job that had the tenant's lock last supersedes this one.

    Args:
        job: The job that asks for the lock; its time of dispatch is known.
        holder: The job that had the lock last; it may have ended.
        is_uuid: Whether the tenant's key is Landlord's UUID, which no other tenant ever gets.
        is_wanted: Asks Landlord; called only where a delete meets another operation.

    Raises:
        Transient: Landlord's API is needed, and gives no usable answer.
    """
    later = holder.is_later_than(job)
    if not is_uuid or job.is_delete == holder.is_delete:
        return later
    if job.is_delete:
        return later and await is_wanted() is True
    # The holder is a delete. Landlord still wants the tenant where this job came after it.
    landlord_wants = await is_wanted()
    return later if landlord_wants is None else not landlord_wants
