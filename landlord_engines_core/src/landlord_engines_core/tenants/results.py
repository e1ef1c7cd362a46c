"""What the steps put into the journal: ids, hashes and states, never a value of a configuration.

Later versions read what earlier ones wrote, so fields are only added, each with a default.
"""

import attrs

from landlord_engines_core.models import Placement

__all__ = ["Applied", "Confirmed", "Planned", "Resolved", "ResyncCheck"]


@attrs.frozen(kw_only=True)
class Resolved:
    """The value of ``resolve``.

    Attributes:
        placement: Where the job acts; a delete has none, its record has.
        candidates: Where a delete looks if there is no record.
    """

    started_at: str
    placement: Placement | None = None
    candidates: tuple[Placement, ...] = ()


@attrs.frozen(kw_only=True)
class Applied:
    """What was done on the target.

    Attributes:
        outcome: A word of `Outcome`.
        config_hash: Of the effective configuration that was applied.
        placement: Where the resource is.
        removed: Where nothing is left.
        rolled_back: Why an update did not take, without values; empty if it did.
    """

    outcome: str
    config_hash: str = ""
    changes: tuple[str, ...] = ()
    placement: Placement | None = None
    removed: tuple[Placement, ...] = ()
    rolled_back: str = ""


@attrs.frozen(kw_only=True)
class Confirmed:
    """The value of ``apply``: what holds in the end, and since when."""

    ended_at: str
    applied: Applied
    detail: str = ""


@attrs.frozen(kw_only=True)
class ResyncCheck:
    """The value of ``resolve`` in a resync.

    Attributes:
        due: Whether something is to be repaired.
        placement: Where a resource is wanted, if one is.
        too_early: Whether the job has not ended yet.
        killed: Whether the job ended without having written its end down.
    """

    started_at: str
    needs_repair: bool = False
    placement: Placement | None = None
    too_early: bool = False
    killed: bool = False


@attrs.frozen(kw_only=True)
class Planned:
    """The value of ``plan``: what an apply would do."""

    action: str
    changes: tuple[str, ...] = ()
