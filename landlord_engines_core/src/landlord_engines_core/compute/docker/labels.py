"""Names and labels of a tenant's containers.

Docker rejects a second container of the same name. Of two workers that create a tenant's container,
one therefore fails with a conflict. The labels say what a container is: Docker's filter by name
also matches a part of a name.
"""

import json
import re
from collections.abc import Mapping

from landlord_engines_core.compute.contract import ComputeSpec, digest_of

__all__ = [
    "CREATION_LABELS",
    "DIGEST",
    "DROPPED",
    "HASH",
    "HEALTH",
    "IMAGE",
    "KEY_HASHES",
    "LIMITS",
    "NETWORK_CONTAINER",
    "OWNER",
    "REMOVE_VOLUMES",
    "REPLACES",
    "TENANT",
    "VOLUMES",
    "belongs_to",
    "current_name",
    "identity_labels",
    "next_name",
    "state_labels",
    "tenant_filters",
]

OWNER = "landlord.owner"
TENANT = "landlord.tenant_id"
"""Labels that Landlord's Go worker sets too. It also sets ``landlord.provider``, and no other label."""

DIGEST = "landlord.tenant_digest"
HASH = "landlord.config_hash"
KEY_HASHES = "landlord.key_hashes"
HEALTH = "landlord.health_check"
LIMITS = "landlord.limits"
REPLACES = "landlord.replaces"
"""The id of the container that this one was created to replace, if that one served."""
REMOVE_VOLUMES = "landlord.remove_volumes"
IMAGE = "landlord.image_id"
"""The image id that the image reference named when the container was created."""
NETWORK_CONTAINER = "landlord.network_partner"
"""The container whose network namespace is joined, as the configuration names it."""
DROPPED = "landlord.dropped_volumes"
"""Named volumes that updates left behind and that the delete has to remove."""
CREATION_LABELS = (REPLACES, IMAGE, NETWORK_CONTAINER, DROPPED)
"""Labels about a container's creation; they may differ between two containers of one configuration."""
VOLUMES = "landlord.volumes"
"""Names of the volumes that a delete has yet to remove; set on an empty volume (`volumes`)."""

_UUID = re.compile(r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}", re.IGNORECASE)


def current_name(prefix: str, tenant: str) -> str:
    """Return the name of a tenant's container, for a UUID the name that Landlord's Go worker uses."""
    key = tenant if _UUID.fullmatch(tenant) else f"x{digest_of(tenant)[:40]}"
    return f"{prefix}-tenant-{key}"


def next_name(prefix: str, tenant: str) -> str:
    """Return the name of the container that an update creates to replace the current one."""
    return f"{current_name(prefix, tenant)}-next"


def _label_value(tenant: str) -> str:
    # A label cannot contain a lone surrogate. Two ids may thus share a value; DIGEST differs.
    return tenant.encode("utf-8", "backslashreplace").decode()


def identity_labels(prefix: str, tenant: str) -> dict[str, str]:
    """Return the labels that identify a tenant's containers, with copies under the prefix."""
    values = {"owner": "landlord", "tenant_id": _label_value(tenant), "provider": "docker"}
    copies = {f"{prefix}.{key}": value for key, value in values.items()}
    originals = {f"landlord.{key}": value for key, value in values.items()}
    return {**copies, **originals, DIGEST: digest_of(tenant)}


def state_labels(spec: ComputeSpec) -> dict[str, str]:
    """Return the labels with the hashes of a container's configuration."""
    return {HASH: spec.config_hash, KEY_HASHES: json.dumps(dict(spec.key_hashes), sort_keys=True)}


def tenant_filters(tenant: str) -> dict[str, list[str]]:
    """Return the filters with which the daemon lists a tenant's containers or volumes."""
    return {"label": [f"{OWNER}=landlord", f"{TENANT}={_label_value(tenant)}"]}


def belongs_to(labels: Mapping[str, str], tenant: str) -> bool:
    """Return whether labels are this tenant's; those of Landlord's Go worker have no digest."""
    return (
        labels.get(OWNER) == "landlord"
        and labels.get(TENANT) == _label_value(tenant)
        and labels.get(DIGEST, digest_of(tenant)) == digest_of(tenant)
    )
