"""What a tenant's container is called and labelled, and which of several is which.

A container's name is unique on an engine, so that of two workers that make one only one succeeds:
the name is the fence between them. What a container is, its labels say: an engine's filters by name
match any part of one.
"""

import hashlib
import json
import re
from collections.abc import Mapping

from landlord_engines_core.compute.contract import ComputeSpec

__all__ = [
    "DIGEST",
    "DROPPED",
    "HASH",
    "HEALTH",
    "IMAGE",
    "KEY_HASHES",
    "LIMITS",
    "OWNER",
    "PARTNER",
    "PASSING",
    "REMOVE_VOLUMES",
    "REPLACES",
    "TENANT",
    "VOLUMES",
    "belongs_to",
    "current_name",
    "filters",
    "identity",
    "next_name",
    "state_labels",
]

OWNER = "landlord.owner"
TENANT = "landlord.tenant_id"
PROVIDER = "landlord.provider"
"""The three labels of Landlord's own worker, which has no others."""

DIGEST = "landlord.tenant_digest"
HASH = "landlord.config_hash"
KEY_HASHES = "landlord.key_hashes"
HEALTH = "landlord.health_check"
LIMITS = "landlord.limits"
REPLACES = "landlord.replaces"
"""The id of the container that served when this one was made to take its place."""
REMOVE_VOLUMES = "landlord.remove_volumes"
IMAGE = "landlord.image_id"
"""What the image's reference meant when this container was made."""
PARTNER = "landlord.network_partner"
"""The container that was named as the one whose network to share, as the configuration has it."""
DROPPED = "landlord.dropped_volumes"
"""The named volumes that updates left behind and that the delete is to remove."""
PASSING = (REPLACES, IMAGE, PARTNER, DROPPED)
"""The labels that tell of a container's making: two that are the same may differ in them."""
VOLUMES = "landlord.volumes"
"""The names of the volumes that a delete has yet to remove; on a volume that is there to say so."""

_UUID = re.compile(r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}", re.IGNORECASE)


def _digest(tenant: str) -> str:
    return hashlib.sha256(tenant.encode("utf-8", "surrogatepass")).hexdigest()


def current_name(prefix: str, tenant: str) -> str:
    """The name of a tenant's container: as Landlord's own worker has it, where it is a UUID."""
    known = tenant if _UUID.fullmatch(tenant) else f"x{_digest(tenant)[:40]}"
    return f"{prefix}-tenant-{known}"


def next_name(prefix: str, tenant: str) -> str:
    """The name of the container that is to take the place of a tenant's current one."""
    return f"{current_name(prefix, tenant)}-next"


def _label(tenant: str) -> str:
    """A tenant's id as a label; half a surrogate pair cannot be one, the digest tells them apart."""
    return tenant.encode("utf-8", "backslashreplace").decode()


def identity(prefix: str, tenant: str) -> dict[str, str]:
    """The labels by which a tenant's containers are found, and their copies for a prefix."""
    known = {"owner": "landlord", "tenant_id": _label(tenant), "provider": "docker"}
    copies = {f"{prefix}.{key}": value for key, value in known.items()}
    ours = {f"landlord.{key}": value for key, value in known.items()}
    return {**copies, **ours, DIGEST: _digest(tenant)}


def state_labels(spec: ComputeSpec) -> dict[str, str]:
    """The labels that say which configuration a container was made for."""
    return {HASH: spec.config_hash, KEY_HASHES: json.dumps(dict(spec.key_hashes), sort_keys=True)}


def filters(tenant: str) -> dict[str, list[str]]:
    """What to ask an engine for, to hear of all containers of a tenant."""
    return {"label": [f"{OWNER}=landlord", f"{TENANT}={_label(tenant)}"]}


def belongs_to(labels: Mapping[str, str], tenant: str) -> bool:
    """Whether a container with these labels is the tenant's; its own worker's have no digest."""
    return (
        labels.get(OWNER) == "landlord"
        and labels.get(TENANT) == _label(tenant)
        and labels.get(DIGEST, _digest(tenant)) == _digest(tenant)
    )
