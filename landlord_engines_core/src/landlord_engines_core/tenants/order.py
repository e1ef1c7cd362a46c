"""Order of two jobs of one tenant: the rule for every worker engine.

The job dispatched last gets the tenant's lock, in whatever order the two arrive. The clocks of a
backend's nodes differ, so Landlord's API decides about a delete if it is configured. After a delete
for a tenant with a UUID, Landlord sends only deletes for that tenant.
"""

from collections.abc import Awaitable, Callable
from datetime import datetime

import attrs

from landlord_engines_core.models import Operation

__all__ = ["Contender", "IsDesired", "is_superseded"]

IsDesired = Callable[[str], Awaitable[bool | None]]
"""Function that returns whether Landlord desires a resource for the tenant with this key.

Landlord desires it if its API shows the tenant as provisioning, updating or ready. The answer is
``None`` if the worker does not know Landlord's API. The function raises Transient if the API gives no
usable answer.
"""


@attrs.frozen(kw_only=True)
class Contender:
    """One of two jobs that compete for a tenant's lock.

    Attributes:
        operation: The job's operation.
        dispatched: When the backend accepted the job; ``None`` if the backend has forgotten it.
        before: Upper bound of ``dispatched``, for a job that the backend has forgotten.
        killed: Whether the job ended without a transition in the tenant's record, as a killed one does.
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
        """Whether this job was dispatched after the other one, as far as the backend still knows.

        With an upper bound alone, a job counts as later if it may have been later.
        """
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
    is_desired: Callable[[], Awaitable[bool | None]],
) -> bool:
    """Decide whether the job that had the tenant's lock last supersedes this one.

    Args:
        job: The job that asks for the lock; its time of dispatch is known.
        holder: The job that acquired the lock last, whether it still runs or has ended.
        is_uuid: Whether the tenant's key is Landlord's UUID, which no other tenant ever gets.
        is_desired: Asks Landlord; called only if a delete meets another operation.

    Raises:
        Transient: Landlord's API is needed, and gives no usable answer.
    """
    later = holder.is_later_than(job)
    if not is_uuid or job.is_delete == holder.is_delete:
        return later
    if job.is_delete:
        return later and await is_desired() is True
    # The holder is a delete. If Landlord still desires the tenant's resource, the delete is outdated.
    landlord_desires = await is_desired()
    return later if landlord_desires is None else not landlord_desires
