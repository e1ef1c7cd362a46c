"""The plan for a tenant: a pure function of the desired and the observed state."""

from collections.abc import Mapping
from enum import StrEnum

import attrs

from landlord_engines_core.compute import ComputeSpec, Observation, ResourceState

__all__ = ["Action", "Plan", "decide"]

# The tenant's record stores the changes, and a configuration may have any number of keys.
MAX_KEYS = 20
"""Maximum of changed keys that a plan names."""

MAX_KEY_LENGTH = 100
"""Characters of a changed key that a plan shows."""


class Action(StrEnum):
    """Action that brings a tenant from the observed to the desired state."""

    PROVISION = "provision"
    UPDATE = "update"
    NOTHING = "nothing"


@attrs.frozen
class Plan:
    """Action, and the changes that an update makes."""

    action: Action
    changes: tuple[str, ...] = ()


def decide(spec: ComputeSpec, observed: Observation) -> Plan:
    """Choose the action that brings the observed state to ``spec``.

    A missing resource is provisioned. A resource that differs or has failed is updated. Any
    other resource is left as it is. The job's operation does not matter: provision and update ask for
    the same state.
    """
    if observed.state is ResourceState.MISSING:
        return Plan(Action.PROVISION)
    changes = _describe_changes(spec, observed)
    if observed.state is ResourceState.FAILED:
        changes = (*changes, "repaired")
    return Plan(Action.UPDATE, changes) if changes else Plan(Action.NOTHING)


def _describe_changes(spec: ComputeSpec, observed: Observation) -> tuple[str, ...]:
    if observed.config_hash == spec.config_hash:
        return ()
    keys = _find_changed_keys(observed.key_hashes, spec.key_hashes)
    changes_text = tuple(f"{key[:MAX_KEY_LENGTH]} changed" for key in keys[:MAX_KEYS])
    more = (f"{len(keys) - MAX_KEYS} more changed",) if len(keys) > MAX_KEYS else ()
    return (*changes_text, *more) or ("configuration changed",)


def _find_changed_keys(before: Mapping[str, str], after: Mapping[str, str]) -> list[str]:
    # An adopted resource has no hashes by key.
    if not before:
        return []
    return sorted(key for key in {*before, *after} if before.get(key) != after.get(key))
