"""What to do for a tenant: a pure function of what is wanted and what is there."""

from collections.abc import Mapping
from enum import StrEnum

import attrs

from landlord_engines_core.compute import ComputeSpec, Observation, ResourceState

__all__ = ["Action", "Plan", "decide"]

MOST = 20
LONGEST = 100
"""Changed keys that a plan names, and characters of each: they are kept in the tenant's record, and
a configuration may have keys without end."""


class Action(StrEnum):
    """The one act that brings a tenant from what is there to what is wanted."""

    PROVISION = "provision"
    UPDATE = "update"
    NOTHING = "nothing"


@attrs.frozen
class Plan:
    """An act, and for an update what it would change."""

    action: Action
    changes: tuple[str, ...] = ()


def decide(spec: ComputeSpec, observed: Observation) -> Plan:
    """Decide how to get from what was observed to ``spec``.

    Provision and update ask for the same state, so the operation does not matter: what is missing
    is provisioned, what differs or has failed is updated, and the rest is left alone.
    """
    if observed.state is ResourceState.MISSING:
        return Plan(Action.PROVISION)
    changes = _changes(spec, observed)
    if observed.state is ResourceState.FAILED:
        changes = (*changes, "repaired")
    return Plan(Action.UPDATE, changes) if changes else Plan(Action.NOTHING)


def _changes(spec: ComputeSpec, observed: Observation) -> tuple[str, ...]:
    if observed.config_hash == spec.config_hash:
        return ()
    keys = _changed_keys(observed.key_hashes, spec.key_hashes)
    named = tuple(f"{key[:LONGEST]} changed" for key in keys[:MOST])
    more = (f"{len(keys) - MOST} more changed",) if len(keys) > MOST else ()
    return (*named, *more) or ("configuration changed",)


def _changed_keys(before: Mapping[str, str], after: Mapping[str, str]) -> list[str]:
    if not before:
        return []
    return sorted(key for key in {*before, *after} if before.get(key) != after.get(key))
