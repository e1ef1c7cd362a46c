"""Objects that a container's configuration names, compared by id.

A daemon resolves names when it creates a container, and keeps the ids. A network, a partner or a volume
that was removed and created again has the same name and another id. The container then cannot start,
or runs with something else than its tenant asked for.
"""

from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any

from landlord_engines_core.compute.docker.client import DockerClient
from landlord_engines_core.compute.docker.errors import NotFound
from landlord_engines_core.compute.docker.health import start_time
from landlord_engines_core.compute.docker.labels import IMAGE, PARTNER
from landlord_engines_core.compute.docker.observe import Container
from landlord_engines_core.compute.docker.settings import DockerSettings

__all__ = ["PREDEFINED_NETWORKS", "find_lost_reference", "has_outdated_image", "reattach"]

PREDEFINED_NETWORKS = ("bridge", "default", "host", "none")
"""Networks that a daemon resolves by name at each start; their ids may change."""


async def find_lost_reference(client: DockerClient, container: Container) -> str:
    """Return why a container cannot go on with the objects that it names; empty if it can.

    A stopped container whose network was created again has lost nothing: `reattach` repairs that.
    """
    if partner := container.partner_id:
        return await _find_lost_partner(client, container, partner)
    if container.is_running and await _has_former_network(client, container):
        return "its network was removed and made again"
    for mount in container.raw["Mounts"]:
        if mount["Type"] == "volume" and (problem := await _find_lost_volume(client, mount)):
            return problem
    return ""


async def has_outdated_image(client: DockerClient, container: Container) -> bool:
    """Return whether the image reference names another image than when the container was created."""
    original = container.labels.get(IMAGE, "")
    if not original:
        # An earlier version created it, or Landlord's own worker, and recorded no image.
        return False
    present = await client.image_id(container.raw["Config"]["Image"])
    # If the reference names no image any more, there is no other image to change to.
    return bool(present) and present != original


async def reattach(client: DockerClient, settings: DockerSettings, container: Container) -> None:
    """Connect a stopped container to the present network of its network's name.

    A new container would do too, but would lose the files and volumes of this one.
    """
    network = container.network
    if container.is_running or not container.network_id or network in PREDEFINED_NETWORKS:
        return
    if network == settings.network_name:
        await client.ensure_network(network, settings.network_driver)
    if await _has_former_network(client, container):
        await client.reconnect(container.id, network)


async def _has_former_network(client: DockerClient, container: Container) -> bool:
    """Return whether networks of the name exist and the container is in none of them."""
    if not container.network_id or container.network in PREDEFINED_NETWORKS:
        return False
    present = [network["Id"] for network in await client.networks(container.network)]
    return bool(present) and container.network_id not in present


async def _find_lost_partner(client: DockerClient, container: Container, partner_id: str) -> str:
    try:
        partner = await client.inspect(container.labels.get(PARTNER) or partner_id)
    except NotFound:
        return "the container whose network it shares is gone"
    if partner["Id"] != partner_id:
        return "the container whose network it shares was made again"
    if container.is_running and _has_started_since(partner, container.raw):
        # Each start gives a partner a new network namespace; the container stays in the dead one.
        return "the container whose network it shares was started again"
    return ""


def _has_started_since(partner: Mapping[str, Any], raw: Mapping[str, Any]) -> bool:
    own_start, partner_start = start_time(raw["State"]), start_time(partner["State"])
    if own_start is None or partner_start is None:
        return False
    # A start in the future is due to a clock that was set back, and says nothing.
    return own_start < partner_start <= datetime.now(UTC)


async def _find_lost_volume(client: DockerClient, mount: Mapping[str, Any]) -> str:
    try:
        volume = await client.volume(mount["Name"])
    except NotFound:
        return "a volume of it is gone"
    # Volumes have no id. A changed driver is the only sign that one was created again.
    is_same = volume.get("Driver") == mount.get("Driver")
    return "" if is_same else "a volume of it was made again by another driver"
