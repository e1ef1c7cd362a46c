"""What a service's tags say: whose it is, what was applied to it, and the tenant's own tags."""

import re
from collections.abc import Mapping

from landlord_engines_core.compute.contract import ComputeSpec
from landlord_engines_core.compute.ecs.config import EcsConfig
from landlord_engines_core.compute.ecs.digest import digest
from landlord_engines_core.compute.ecs.location import Location

__all__ = [
    "APPLIED",
    "ATTEMPT",
    "HASH",
    "applied_tags",
    "belongs_to",
    "is_of_location",
    "key_hashes_in",
    "owner_tags",
    "stale",
]

HASH = "landlord.config_hash"
APPLIED = "landlord.applied"
ATTEMPT = "landlord.attempt"
"""There from before a rollout is asked for until it is steady."""

_TENANT = "landlord.tenant_id"
_PLACE = "landlord.place"
_CONFIGURED = "landlord.tags"
_KEY = "landlord.key."

_ROOM = 49
"""ECS takes 50, and one of them is for the next attempt."""

_PLAIN_VALUE = re.compile(r"(?!sha256:)[A-Za-z0-9 _.:/=+@-]{1,256}")
_PLAIN_KEY = re.compile(r"[A-Za-z0-9_.-]{1,100}")
_MARK = 5
"""Hex digits that stand for a tag's key: those of all that there may be fit into one tag."""


def owner_tags(tenant: str, location: Location, config: EcsConfig) -> dict[str, str]:
    """The tags of a new service: those that the configuration names, and ours over them."""
    return {
        **config.tags,
        "landlord.owner": "landlord",
        "landlord.provider": "ecs",
        _TENANT: _value(tenant),
        _PLACE: location.fingerprint,
        _CONFIGURED: "".join(sorted(_mark(key) for key in config.tags)),
    }


def applied_tags(
    spec: ComputeSpec, location: Location, config: EcsConfig, applied: str
) -> dict[str, str]:
    """All tags of a service that has the specification's configuration.

    Args:
        spec: The specification.
        location: Where the service is.
        config: The configuration in the specification.
        applied: Stands for what the service was seen to have afterwards.
    """
    tags = {
        **owner_tags(spec.tenant, location, config),
        HASH: spec.config_hash,
        APPLIED: applied,
    }
    keys = {f"{_KEY}{key}": value for key, value in spec.key_hashes.items()}
    fits = len(tags) + len(keys) <= _ROOM and all(map(_PLAIN_KEY.fullmatch, keys))
    return {**tags, **keys} if fits else tags


def belongs_to(tenant: str, tags: Mapping[str, str]) -> bool:
    """Whether a service is this tenant's, as Landlord's own worker marks it too."""
    return tags.get(_TENANT) == _value(tenant)


def is_of_location(location: Location, tags: Mapping[str, str]) -> bool:
    """Whether a service is under this location's name, not under another name for the same location.

    Landlord's own worker leaves no such mark; its services are of any location where they are found.
    """
    return tags.get(_PLACE, location.fingerprint) == location.fingerprint


def key_hashes_in(tags: Mapping[str, str]) -> dict[str, str]:
    """The hashes of the configuration's values by key, where there was room for them."""
    return {key.removeprefix(_KEY): value for key, value in tags.items() if key.startswith(_KEY)}


def stale(present: Mapping[str, str], wanted: Mapping[str, str]) -> list[str]:
    """The keys that were put there for a former configuration; those of others are left alone."""
    marks = present.get(_CONFIGURED, "")
    known = {marks[at : at + _MARK] for at in range(0, len(marks), _MARK)}
    return [
        key
        for key in present
        if key not in wanted and (key == ATTEMPT or key.startswith(_KEY) or _mark(key) in known)
    ]


def _mark(key: str) -> str:
    return digest(key)[:_MARK]


def _value(tenant: str) -> str:
    """The tenant's key, or its digest where ECS would not take it as a tag's value."""
    if _PLAIN_VALUE.fullmatch(tenant):
        return tenant
    return f"sha256:{digest(tenant)}"
