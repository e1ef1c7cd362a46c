"""Objects that a container's configuration names, compared by id.

A daemon resolves names when it creates a container, and keeps the ids. A recreated network,
container or volume has the same name and another id. A container that refers to it then cannot start,
or runs with an object that its tenant did not ask for.
"""

from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any

from landlord_engines_core.compute.docker.client import DockerClient
from landlord_engines_core.compute.docker.errors import NotFound
from landlord_engines_core.compute.docker.health import start_time
from landlord_engines_core.compute.docker.labels import IMAGE, NETWORK_CONTAINER
from landlord_engines_core.compute.docker.observe import Container
from landlord_engines_core.compute.docker.settings import DockerSettings

__all__ = ["PREDEFINED_NETWORKS", "find_lost_reference", "has_outdated_image", "reattach"]

PREDEFINED_NETWORKS = ("bridge", "default", "host", "none")
"""Networks that a daemon resolves by name at each start; their ids may change."""


async def find_lost_reference(client: DockerClient, container: Container) -> str:
    """Return why a container cannot keep running with the objects that it names; empty if it can.

    A stopped container whose network was recreated has lost nothing: `reattach` repairs that.
    """
    if joined_id := container.network_container_id:
        return await _find_lost_network_container(client, container, joined_id)
    if container.is_running and await _has_stale_network(client, container):
        return "its network was recreated"
    for mount in container.raw["Mounts"]:
        if mount["Type"] == "volume" and (problem := await _find_lost_volume(client, mount)):
            return problem
    return ""


async def has_outdated_image(client: DockerClient, container: Container) -> bool:
    """Return whether the image reference names another image than when the container was created."""
    original = container.labels.get(IMAGE, "")
    if not original:
        # An earlier version created it, or Landlord's Go worker, and recorded no image.
        return False
    current = await client.image_id(container.raw["Config"]["Image"])
    # If the reference names no image any more, there is no other image to change to.
    return bool(current) and current != original


async def reattach(client: DockerClient, settings: DockerSettings, container: Container) -> None:
    """Connect a stopped container to the current network of the same name.

    A new container would do too, but would lose the files and volumes of this one.
    """
    network = container.network
    if container.is_running or not container.network_id or network in PREDEFINED_NETWORKS:
        return
    if network == settings.network_name:
        await client.ensure_network(network, settings.network_driver)
    if await _has_stale_network(client, container):
        await client.reconnect(container.id, network)


async def _has_stale_network(client: DockerClient, container: Container) -> bool:
    """Return whether networks of the name exist and the container is in none of them."""
    if not container.network_id or container.network in PREDEFINED_NETWORKS:
        return False
    current = [network["Id"] for network in await client.networks(container.network)]
    return bool(current) and container.network_id not in current


async def _find_lost_network_container(
    client: DockerClient, container: Container, joined_id: str
) -> str:
    try:
        joined = await client.inspect(container.labels.get(NETWORK_CONTAINER) or joined_id)
    except NotFound:
        return "the container whose network it shares is gone"
    if joined["Id"] != joined_id:
        return "the container whose network it shares was recreated"
    if container.is_running and _has_started_since(joined, container.raw):
        # Each start creates a new network namespace; this container stays in the old one.
        return "the container whose network it shares was restarted"
    return ""


def _has_started_since(joined: Mapping[str, Any], raw: Mapping[str, Any]) -> bool:
    start, joined_start = start_time(raw["State"]), start_time(joined["State"])
    if start is None or joined_start is None:
        return False
    # A start in the future means that a clock was set back, so the order of the starts is unknown.
    return start < joined_start <= datetime.now(UTC)


async def _find_lost_volume(client: DockerClient, mount: Mapping[str, Any]) -> str:
    try:
        volume = await client.volume(mount["Name"])
    except NotFound:
        return "a volume of it is gone"
    # Volumes have no id. A changed driver is the only sign that one was recreated.
    is_same = volume.get("Driver") == mount.get("Driver")
    return "" if is_same else "a volume of it was recreated by another driver"
