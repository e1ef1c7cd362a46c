"""The report of a move from an old version of the worker to the latest."""

from enum import StrEnum

import attrs

__all__ = ["MoveOutcome", "MoveReport", "MoveResult"]


class MoveOutcome(StrEnum):
    """Outcome for one execution that an old version of the worker began."""

    MOVED = "moved"
    KILLED = "killed"
    """A job dispatched later has had the tenant's lock, so that this one must not continue."""
    ENDED = "ended"
    """The execution ended before it was moved."""
    RUNNING = "running"
    """The execution runs on the old version at this moment, and was left alone."""
    LEFT = "left"
    """The execution stays on the old version; the detail says why."""


@attrs.frozen(kw_only=True)
class MoveResult:
    """Result of the move for one execution; in a dry run, the expected result.

    Attributes:
        execution_id: The backend's id.
        what: The kind of execution in the backend's words, for example a service and its handler.
        tenant: Its tenant; empty if the backend does not show it.
        state: Its state before the move, in the backend's words.
        outcome: The outcome.
        detail: The reason, if the outcome does not imply it.
    """

    execution_id: str
    what: str
    tenant: str
    state: str
    outcome: MoveOutcome
    detail: str = ""


@attrs.frozen(kw_only=True)
class MoveReport:
    """Results of a move.

    Attributes:
        old: The old version's URL, as the backend spells it.
        latest: The URL of the version that receives new jobs.
        moves: One result for each execution of the old version.
        remaining: How many executions still need the old version; in a dry run, need it now.
    """

    old: str
    latest: str
    moves: tuple[MoveResult, ...]
    remaining: int
