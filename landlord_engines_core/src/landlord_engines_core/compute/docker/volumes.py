"""Removing a tenant's volumes with its container, by whoever comes after a crash too.

Which volumes are to go the container says, and they can go only after it. So they are noted before: on
the engine, as the label of an empty volume, which goes last.
"""

import json
from collections.abc import Mapping
from typing import Any

from landlord_engines_core.compute.docker import names
from landlord_engines_core.compute.docker.answers import NotFound
from landlord_engines_core.compute.docker.client import DockerClient
from landlord_engines_core.compute.docker.config import ContainerConfig
from landlord_engines_core.compute.docker.found import Container

__all__ = ["dropped", "forget_noted", "note", "remove_noted"]


async def note(client: DockerClient, container: Container, identity: Mapping[str, str]) -> None:
    """Note that the volumes of a container are to go once it is gone.

    Args:
        client: The engine.
        container: A container that is about to be removed.
        identity: The labels of its tenant.
    """
    if going := [*container.volumes, *container.dropped_volumes]:
        labels = {**identity, names.VOLUMES: json.dumps(going)}
        await client.ensure_volume(f"{container.id}-volumes", labels)


def dropped(former: Container | None, config: ContainerConfig) -> list[str]:
    """The named volumes that a delete is to remove although the next container does not have them.

    They stay until then: an update back finds them. A configuration that keeps its volumes keeps
    these too.
    """
    if former is None or not (former.takes_volumes_along and config.remove_volumes):
        return []
    mounted = {volume.source for volume in config.mounts()}
    return sorted({*former.dropped_volumes, *former.named_volumes} - mounted)


async def remove_noted(client: DockerClient, tenant: str) -> bool:
    """Remove the volumes that were noted; one that another container has is left alone.

    Returns:
        Whether any were noted.
    """
    notes = await _notes(client, tenant)
    for one in notes:
        for volume in json.loads(one["Labels"][names.VOLUMES]):
            await _remove(client, volume, tenant)
        await client.remove_volume(one["Name"])
    return bool(notes)


async def forget_noted(client: DockerClient, tenant: str) -> None:
    """Keep what a delete noted that was cut, since by now it is to be kept."""
    for one in await _notes(client, tenant):
        await client.remove_volume(one["Name"])


async def _notes(client: DockerClient, tenant: str) -> list[Mapping[str, Any]]:
    found = await client.volumes(names.filters(tenant))
    return [one for one in found if names.VOLUMES in _labels(one, tenant)]


async def _remove(client: DockerClient, name: str, tenant: str) -> None:
    """Remove a volume that was made for this tenant, and no other."""
    try:
        shown = await client.volume(name)
    except NotFound:
        return
    if _labels(shown, tenant):
        await client.remove_volume(name)


def _labels(volume: Mapping[str, object], tenant: str) -> Mapping[str, str]:
    """A volume's labels where it is the tenant's; none where it is not."""
    labels = volume.get("Labels") or {}
    assert isinstance(labels, Mapping)
    return labels if names.belongs_to(labels, tenant) else {}
