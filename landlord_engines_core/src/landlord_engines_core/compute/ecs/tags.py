"""Tags of a service: its tenant, the applied configuration, and the tags in the tenant's configuration."""

import re
from collections.abc import Mapping

from landlord_engines_core.compute.contract import ComputeSpec, digest_of
from landlord_engines_core.compute.ecs.config import EcsConfig
from landlord_engines_core.compute.ecs.location import Location

__all__ = [
    "APPLIED_STATE",
    "ATTEMPT_MARKER",
    "HASH",
    "applied_tags",
    "belongs_to",
    "is_of_location",
    "key_hashes_in",
    "outdated_keys",
    "owner_tags",
]

HASH = "landlord.config_hash"
"""The hash of the configuration that was applied last."""

APPLIED_STATE = "landlord.applied"
"""A digest of the service's state after that configuration was applied."""

ATTEMPT_MARKER = "landlord.attempt"
"""Set before a rollout is requested, and removed once it is decided."""

_TENANT = "landlord.tenant_id"
_LOCATION = "landlord.place"
_CONFIGURED_TAGS = "landlord.tags"
_KEY_PREFIX = "landlord.key."

_MAX_APPLIED_TAGS = 49
"""ECS accepts 50, and one is reserved for the tag ATTEMPT_MARKER."""

_PLAIN_VALUE = re.compile(r"(?!sha256:)[A-Za-z0-9 _.:/=+@-]{1,256}")
_PLAIN_KEY = re.compile(r"[A-Za-z0-9_.-]{1,100}")
_KEY_DIGITS = 5
"""Hex digits of the digest of a tag's key; those of 42 keys fit into one tag of 256 characters."""


def owner_tags(tenant: str, location: Location, config: EcsConfig) -> dict[str, str]:
    """Return the tags of a new service: the tags in the configuration, overridden by this engine's."""
    return {
        **config.tags,
        "landlord.owner": "landlord",
        "landlord.provider": "ecs",
        _TENANT: _tenant_value(tenant),
        _LOCATION: location.fingerprint,
        _CONFIGURED_TAGS: "".join(sorted(_key_digest(key) for key in config.tags)),
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
        APPLIED_STATE: applied,
    }
    keys = {f"{_KEY_PREFIX}{key}": value for key, value in spec.key_hashes.items()}
    fits = len(tags) + len(keys) <= _MAX_APPLIED_TAGS and all(map(_PLAIN_KEY.fullmatch, keys))
    return {**tags, **keys} if fits else tags


def belongs_to(tenant: str, tags: Mapping[str, str]) -> bool:
    """Return whether a service is this tenant's; Landlord's Go worker sets the same tag."""
    return tags.get(_TENANT) == _tenant_value(tenant)


def is_of_location(location: Location, tags: Mapping[str, str]) -> bool:
    """Return whether a service was created for this location.

    Different locations may name one service. A service of Landlord's Go worker has no tag for its
    location, and matches any.
    """
    return tags.get(_LOCATION, location.fingerprint) == location.fingerprint


def key_hashes_in(tags: Mapping[str, str]) -> dict[str, str]:
    """Return the hashes of the configuration's values by key, if there was room for them."""
    return {
        key.removeprefix(_KEY_PREFIX): value
        for key, value in tags.items()
        if key.startswith(_KEY_PREFIX)
    }


def outdated_keys(present: Mapping[str, str], desired: Mapping[str, str]) -> list[str]:
    """Return the keys of tags that were set for a previous configuration.

    Tags that somebody else set are kept.
    """
    digests = present.get(_CONFIGURED_TAGS, "")
    configured = {
        digests[start : start + _KEY_DIGITS] for start in range(0, len(digests), _KEY_DIGITS)
    }
    return [
        key
        for key in present
        if key not in desired
        and (key == ATTEMPT_MARKER or key.startswith(_KEY_PREFIX) or _key_digest(key) in configured)
    ]


def _key_digest(key: str) -> str:
    return digest_of(key)[:_KEY_DIGITS]


def _tenant_value(tenant: str) -> str:
    # ECS accepts only some characters in a tag's value. A digest replaces other tenant keys.
    if _PLAIN_VALUE.fullmatch(tenant):
        return tenant
    return f"sha256:{digest_of(tenant)}"
