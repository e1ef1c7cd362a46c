"""Removal of a tenant's named volumes with its container, safe against a crash in between.

The container names the volumes to remove, and a volume can be removed only after its container. The
names are therefore noted first, in a label of an empty volume on the daemon. It is removed last.
"""

import json
from collections.abc import Mapping
from typing import Any

from landlord_engines_core.compute.docker.client import DockerClient
from landlord_engines_core.compute.docker.config import ContainerConfig
from landlord_engines_core.compute.docker.errors import NotFound
from landlord_engines_core.compute.docker.labels import VOLUMES, belongs_to, tenant_filters
from landlord_engines_core.compute.docker.observe import Container

__all__ = ["forget_volumes", "list_dropped_volumes", "note_volumes", "remove_noted_volumes"]


async def note_volumes(
    client: DockerClient, container: Container, identity: Mapping[str, str]
) -> None:
    """Note the volumes that have to be removed once a container is gone.

    Args:
        client: The daemon's client.
        container: A container that is about to be removed.
        identity: The labels of its tenant.
    """
    if volumes := [*container.volumes, *container.dropped_volumes]:
        labels = {**identity, VOLUMES: json.dumps(volumes)}
        await client.ensure_volume(f"{container.id}-volumes", labels)


def list_dropped_volumes(previous: Container | None, config: ContainerConfig) -> list[str]:
    """Return the named volumes that the next container does not mount and a delete has to remove.

    They stay until the delete, so that an update back to the previous configuration finds them. If one
    of the two configurations keeps volumes, they are never removed.
    """
    if previous is None or not (previous.removes_volumes and config.remove_volumes):
        return []
    mounted = {volume.source for volume in config.mounts()}
    return sorted({*previous.dropped_volumes, *previous.named_volumes} - mounted)


async def remove_noted_volumes(client: DockerClient, tenant: str) -> bool:
    """Remove the noted volumes that no other container uses.

    Returns:
        Whether any were noted.
    """
    notes = await _list_notes(client, tenant)
    for note in notes:
        for name in json.loads(note["Labels"][VOLUMES]):
            await _remove_own_volume(client, name, tenant)
        await client.remove_volume(note["Name"])
    return bool(notes)


async def forget_volumes(client: DockerClient, tenant: str) -> None:
    """Remove the notes of an interrupted delete: the current configuration keeps the volumes."""
    for note in await _list_notes(client, tenant):
        await client.remove_volume(note["Name"])


async def _list_notes(client: DockerClient, tenant: str) -> list[Mapping[str, Any]]:
    volumes = await client.volumes(tenant_filters(tenant))
    return [volume for volume in volumes if VOLUMES in _tenant_labels(volume, tenant)]


async def _remove_own_volume(client: DockerClient, name: str, tenant: str) -> None:
    try:
        volume = await client.volume(name)
    except NotFound:
        return
    if _tenant_labels(volume, tenant):
        await client.remove_volume(name)


def _tenant_labels(volume: Mapping[str, Any], tenant: str) -> Mapping[str, str]:
    """Return a volume's labels if it is the tenant's, and none otherwise."""
    labels: Mapping[str, str] = volume.get("Labels") or {}
    return labels if belongs_to(labels, tenant) else {}
