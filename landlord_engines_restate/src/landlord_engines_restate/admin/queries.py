"""Parts of SQL queries, and values in their rows."""

from enum import StrEnum

from xxhash import xxh3_64_intdigest

__all__ = ["IGNORES_CANCEL", "INACTIVE", "RESUMABLE", "Status", "literal", "partition_key"]


class Status(StrEnum):
    """The statuses of an invocation that this package distinguishes; Restate has more."""

    BACKING_OFF = "backing-off"
    COMPLETED = "completed"
    PAUSED = "paused"
    SUSPENDED = "suspended"


INACTIVE = frozenset((Status.SUSPENDED, Status.BACKING_OFF, Status.PAUSED))
"""Statuses in which none of an invocation's code runs."""

IGNORES_CANCEL = frozenset((Status.BACKING_OFF, Status.PAUSED))
"""Statuses in which a cancellation has no effect until the next attempt, which may never start.

A suspended invocation is inactive too, but a cancellation wakes it.
"""

RESUMABLE = frozenset((Status.SUSPENDED, Status.PAUSED))
"""Statuses in which Restate resumes an invocation on another deployment."""


def literal(text: str) -> str:
    """Quote text for a query; a tenant's key may contain any characters."""
    return "'" + text.replace("'", "''") + "'"


def partition_key(service_key: str) -> int:
    """Compute the partition key of a virtual object's state in Restate.

    Restate does not document the computation, so an empty result for this key proves nothing.
    """
    # A query of ``state`` with this key reads one partition. Without it Restate 1.7.12 reads the state
    # of every object, even if the query names a service and a key (observed).
    return int(xxh3_64_intdigest(service_key.encode() + b"\xff"))
