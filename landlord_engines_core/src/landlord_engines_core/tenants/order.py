"""Which of two jobs of one tenant gives way: the rule, for every worker engine.

The job that was dispatched last wins, however late the other one comes. Clocks differ between the
nodes of a backend, so that they do not decide what Landlord decides itself: to a tenant with a UUID
it sends nothing but deletes once it has sent one.
"""

from collections.abc import Awaitable, Callable
from datetime import datetime

import attrs

from landlord_engines_core.models import Operation

__all__ = ["Contender", "IsWanted", "gives_way"]

IsWanted = Callable[[str], Awaitable[bool | None]]
"""Whether Landlord wants the resource of the tenant with this key: it shows the tenant as
provisioning, updating or ready. ``None`` where the worker does not know Landlord's API. Raises
Transient where the API gives no usable answer."""


@attrs.frozen(kw_only=True)
class Contender:
    """One of two jobs that want the same tenant's lock.

    Attributes:
        operation: What it does.
        dispatched: When the backend accepted it; ``None`` where the backend has forgotten that.
        before: A time that its dispatch did not come after.
        killed: Whether it ended without having written its end down.
    """

    operation: str
    dispatched: datetime | None = None
    before: datetime | None = None
    killed: bool = False

    @property
    def deletes(self) -> bool:
        """Whether it is a delete."""
        return self.operation == Operation.DELETE

    def is_later_than(self, other: "Contender") -> bool:
        """Whether it was dispatched after the other one; what was killed counts for nothing."""
        latest = self.dispatched or self.before
        if self.killed or latest is None or other.dispatched is None:
            return False
        if self.dispatched is None:
            return other.dispatched <= latest
        return other.dispatched < latest


async def gives_way(
    job: Contender,
    holder: Contender,
    *,
    is_uuid: bool,
    is_wanted: Callable[[], Awaitable[bool | None]],
) -> bool:
    """Decide whether a job gives way to the one that had the tenant's lock last.

    Args:
        job: The one that asks for the lock; its time of dispatch is known.
        holder: The one that had it last; it may have ended.
        is_uuid: Whether the tenant's key is Landlord's UUID, which no other tenant ever gets.
        is_wanted: Asks Landlord; called only where a delete meets another operation.

    Raises:
        Transient: Landlord is to be asked, and gives no usable answer.
    """
    later = holder.is_later_than(job)
    if not is_uuid or job.deletes == holder.deletes:
        return later
    if job.deletes:
        return later and await is_wanted() is True
    wanted = await is_wanted()
    return later if wanted is None else not wanted
