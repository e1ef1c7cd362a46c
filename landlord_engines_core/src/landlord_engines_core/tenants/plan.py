"""The plan for a tenant: a pure function of the desired and the observed state."""

from collections.abc import Mapping
from enum import StrEnum

import attrs

from landlord_engines_core.compute import ComputeSpec, Observation, ResourceState

__all__ = ["Action", "Plan", "decide"]

# Changes are kept in the tenant's record, and a configuration may have any number of keys.
MOST = 20
"""Changed keys that a plan names."""

LONGEST = 100
"""Characters of each."""


class Action(StrEnum):
    """Act that brings a tenant from the observed to the desired state."""

    PROVISION = "provision"
    UPDATE = "update"
    NOTHING = "nothing"


@attrs.frozen
class Plan:
    """Act, and the changes of an update."""

    action: Action
    changes: tuple[str, ...] = ()


def decide(spec: ComputeSpec, observed: Observation) -> Plan:
    """Decide how to get from the observed state to ``spec``.

    A missing resource is provisioned. One that differs or has failed is updated. All others are left
    alone. The job's operation does not matter: provision and update ask for the same state.
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
    keys = _find_changed_keys(observed.key_hashes, spec.key_hashes)
    named = tuple(f"{key[:LONGEST]} changed" for key in keys[:MOST])
    more = (f"{len(keys) - MOST} more changed",) if len(keys) > MOST else ()
    return (*named, *more) or ("configuration changed",)


def _find_changed_keys(before: Mapping[str, str], after: Mapping[str, str]) -> list[str]:
    if not before:
        return []
    return sorted(key for key in {*before, *after} if before.get(key) != after.get(key))
