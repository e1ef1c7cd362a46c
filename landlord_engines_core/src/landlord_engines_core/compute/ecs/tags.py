"""Tags of a service: its tenant, the applied configuration, and the tenant's own tags."""

import re
from collections.abc import Mapping

from landlord_engines_core.compute.contract import ComputeSpec, digest_of
from landlord_engines_core.compute.ecs.config import EcsConfig
from landlord_engines_core.compute.ecs.location import Location

__all__ = [
    "APPLIED",
    "ATTEMPT",
    "HASH",
    "applied_tags",
    "belongs_to",
    "is_of_location",
    "key_hashes_in",
    "outdated_keys",
    "owner_tags",
]

HASH = "landlord.config_hash"
APPLIED = "landlord.applied"
ATTEMPT = "landlord.attempt"
"""Set before a rollout is requested, and removed once it is decided."""

_TENANT = "landlord.tenant_id"
_PLACE = "landlord.place"
_CONFIGURED = "landlord.tags"
_KEY = "landlord.key."

_MAX_TAGS = 49
"""ECS takes 50, and one is reserved for the mark of the next attempt."""

_PLAIN_VALUE = re.compile(r"(?!sha256:)[A-Za-z0-9 _.:/=+@-]{1,256}")
_PLAIN_KEY = re.compile(r"[A-Za-z0-9_.-]{1,100}")
_KEY_DIGITS = 5
"""Hex digits that stand for a tag's key; those of all configured tags fit into one tag."""


def owner_tags(tenant: str, location: Location, config: EcsConfig) -> dict[str, str]:
    """Return the tags of a new service: those of the configuration, overridden by ours."""
    return {
        **config.tags,
        "landlord.owner": "landlord",
        "landlord.provider": "ecs",
        _TENANT: _value(tenant),
        _PLACE: location.fingerprint,
        _CONFIGURED: "".join(sorted(_key_digest(key) for key in config.tags)),
    }


def applied_tags(
    spec: ComputeSpec, location: Location, config: EcsConfig, applied: str
) -> dict[str, str]:
    """Return all tags of a service that has the specification's configuration.

    Args:
        spec: The tenant's specification.
        location: The tenant's location.
        config: The configuration in the specification, as read.
        applied: The digest of the service's state after the update.
    """
    tags = {
        **owner_tags(spec.tenant, location, config),
        HASH: spec.config_hash,
        APPLIED: applied,
    }
    keys = {f"{_KEY}{key}": value for key, value in spec.key_hashes.items()}
    fits = len(tags) + len(keys) <= _MAX_TAGS and all(map(_PLAIN_KEY.fullmatch, keys))
    return {**tags, **keys} if fits else tags


def belongs_to(tenant: str, tags: Mapping[str, str]) -> bool:
    """Return whether a service is this tenant's; Landlord's own worker sets the same tag."""
    return tags.get(_TENANT) == _value(tenant)


def is_of_location(location: Location, tags: Mapping[str, str]) -> bool:
    """Return whether a service was created under this text for its location.

    Two texts may lead to one service. A service of Landlord's own worker has no such tag, and is of
    any location.
    """
    return tags.get(_PLACE, location.fingerprint) == location.fingerprint


def key_hashes_in(tags: Mapping[str, str]) -> dict[str, str]:
    """Return the hashes of the configuration's values by key, if there was room for them."""
    return {key.removeprefix(_KEY): value for key, value in tags.items() if key.startswith(_KEY)}


def outdated_keys(present: Mapping[str, str], desired: Mapping[str, str]) -> list[str]:
    """Return the keys of tags that were set for a former configuration.

    Tags that somebody else set are kept.
    """
    digests = present.get(_CONFIGURED, "")
    configured = {
        digests[start : start + _KEY_DIGITS] for start in range(0, len(digests), _KEY_DIGITS)
    }
    return [
        key
        for key in present
        if key not in desired
        and (key == ATTEMPT or key.startswith(_KEY) or _key_digest(key) in configured)
    ]


def _key_digest(key: str) -> str:
    return digest_of(key)[:_KEY_DIGITS]


def _value(tenant: str) -> str:
    # ECS takes only some characters in a tag's value. A digest replaces any other key.
    if _PLAIN_VALUE.fullmatch(tenant):
        return tenant
    return f"sha256:{digest_of(tenant)}"
