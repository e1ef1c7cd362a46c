"""Values that the steps journal: ids, hashes and states, never a value of a configuration.

Later versions read the journals of earlier ones, so fields are only added, each with a default.
"""

import attrs

from landlord_engines_core import codec
from landlord_engines_core.models import Placement

__all__ = ["Applied", "Confirmed", "Planned", "Resolved", "ResyncCheck"]


@attrs.frozen(kw_only=True)
class Resolved:
    """Value of ``resolve``.

    Attributes:
        placement: Where the job acts; ``None`` for a delete, whose record has the placements.
        candidates: Where a delete looks for a resource if there is no record.
        name: The tenant's name, shortened.
    """

    started_at: str
    placement: Placement | None = None
    candidates: tuple[Placement, ...] = ()
    name: str = attrs.field(default="", metadata=codec.ADDED_LATER)


@attrs.frozen(kw_only=True)
class Applied:
    """Result of an apply or a destroy.

    Attributes:
        outcome: A value of `Outcome`.
        config_hash: Hash of the effective configuration that was applied.
        placement: Where the resource is.
        removed: Where no resource is left.
        rolled_back: Why an update was rolled back, without values; empty if it was not.
    """

    outcome: str
    config_hash: str = ""
    changes: tuple[str, ...] = ()
    placement: Placement | None = None
    removed: tuple[Placement, ...] = ()
    rolled_back: str = ""


@attrs.frozen(kw_only=True)
class Confirmed:
    """Value of ``apply``: the confirmed result, and the time of it."""

    ended_at: str
    applied: Applied
    detail: str = ""


@attrs.frozen(kw_only=True)
class ResyncCheck:
    """Value of ``resolve`` in a resync.

    Attributes:
        needs_repair: Whether the tenant needs a repair.
        placement: Where Landlord wants a resource, if it does.
        too_early: Whether the tenant's job still runs.
        killed: Whether the job ended without a transition in the tenant's record.
    """

    started_at: str
    needs_repair: bool = False
    placement: Placement | None = None
    too_early: bool = False
    killed: bool = False


@attrs.frozen(kw_only=True)
class Planned:
    """Value of ``plan``: the action and the changes of an apply."""

    action: str
    changes: tuple[str, ...] = ()
