"""Parts of SQL queries, and the words in their rows."""

from enum import StrEnum

from xxhash import xxh3_64_intdigest

__all__ = ["IGNORES_CANCEL", "INACTIVE", "RESUMABLE", "Status", "literal", "partition_key"]


class Status(StrEnum):
    """Statuses of an invocation that this package distinguishes; Restate has more."""

    BACKING_OFF = "backing-off"
    COMPLETED = "completed"
    PAUSED = "paused"
    SUSPENDED = "suspended"


INACTIVE = frozenset((Status.SUSPENDED, Status.BACKING_OFF, Status.PAUSED))
"""Statuses in which none of an invocation's code runs."""

IGNORES_CANCEL = frozenset((Status.BACKING_OFF, Status.PAUSED))
"""Statuses in which a cancel has no effect until the next attempt, which may never come.

A suspended invocation is inactive too, but a cancel wakes it.
"""

RESUMABLE = frozenset((Status.SUSPENDED, Status.PAUSED))
"""Statuses in which Restate resumes an invocation on another deployment."""


def literal(text: str) -> str:
    """Quote text for a query; a tenant's key may hold any characters."""
    return "'" + text.replace("'", "''") + "'"


def partition_key(service_key: str) -> int:
    """Compute the partition key under which Restate keeps a virtual object's state.

    Restate does not document the computation. An empty result for this key therefore proves nothing.
    """
    # A query of ``state`` with this key reads one partition. Without it Restate 1.7.12 reads the state
    # of every object, even where the query names a service and a key (observed).
    return int(xxh3_64_intdigest(service_key.encode() + b"\xff"))
