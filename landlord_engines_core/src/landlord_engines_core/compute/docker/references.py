"""What a container's configuration names, compared by identity: a name may mean another thing by now.

An engine keeps ids in a container that was made by names. A network, a partner or a volume that was
removed and made again has its old name and another identity. The container then cannot start, or runs
beside what its tenant asked for.
"""

from datetime import UTC, datetime
from typing import Any

from landlord_engines_core.compute.docker import names
from landlord_engines_core.compute.docker.answers import NotFound
from landlord_engines_core.compute.docker.client import DockerClient
from landlord_engines_core.compute.docker.found import Container
from landlord_engines_core.compute.docker.settings import DockerSettings

__all__ = ["PREDEFINED_NETWORKS", "has_former_image", "lost_reference", "reattach"]

PREDEFINED_NETWORKS = ("bridge", "default", "host", "none")
"""An engine finds these by name with every start, and may give them other ids."""


async def lost_reference(client: DockerClient, container: Container) -> str:
    """Why a container cannot go on with what it names; empty if it can.

    A stopped container whose network was made again is not lost: `reattach` repairs that.
    """
    if partner := container.partner_id:
        return await _lost_partner(client, container, partner)
    if container.runs and await _has_former_network(client, container):
        return "its network was removed and made again"
    for mount in container.shown["Mounts"]:
        if mount["Type"] == "volume" and (problem := await _lost_volume(client, mount)):
            return problem
    return ""


async def has_former_image(client: DockerClient, container: Container) -> bool:
    """Whether the image's reference means another image by now than when the container was made.

    The container goes on with its image. One that no longer has a name is no other image.
    """
    made_of = container.labels.get(names.IMAGE, "")
    if not made_of:
        # An earlier version made it, or Landlord's own worker: nothing is known of its making.
        return False
    meant = await client.image_id(container.shown["Config"]["Image"])
    return bool(meant) and meant != made_of


async def reattach(client: DockerClient, settings: DockerSettings, container: Container) -> None:
    """Give a stopped container the network that has its network's name by now.

    Its files and its volumes stay, which a new container would not have.
    """
    network = container.network
    if container.runs or not container.network_id or network in PREDEFINED_NETWORKS:
        return
    if network == settings.network_name:
        await client.ensure_network(network, settings.network_driver)
    if await _has_former_network(client, container):
        await client.reconnect(container.id, network)


async def _has_former_network(client: DockerClient, container: Container) -> bool:
    """Whether networks of that name exist and the container has none of them."""
    if not container.network_id or container.network in PREDEFINED_NETWORKS:
        return False
    known = [one["Id"] for one in await client.networks(container.network)]
    return bool(known) and container.network_id not in known


async def _lost_partner(client: DockerClient, container: Container, partner_id: str) -> str:
    try:
        partner = await client.show(container.labels.get(names.PARTNER) or partner_id)
    except NotFound:
        return "the container whose network it shares is gone"
    if partner["Id"] != partner_id:
        return "the container whose network it shares was made again"
    if container.runs and _started(container.shown) < _started(partner) <= datetime.now(UTC):
        # With each start a partner gets a new network namespace; who shares it keeps the dead one.
        return "the container whose network it shares was started again"
    return ""


async def _lost_volume(client: DockerClient, mount: dict[str, Any]) -> str:
    """Compare a mount with its volume: an engine gives volumes no id, and only a driver tells more."""
    try:
        volume = await client.volume(mount["Name"])
    except NotFound:
        return "a volume of it is gone"
    same = volume.get("Driver") == mount.get("Driver")
    return "" if same else "a volume of it was made again by another driver"


def _started(shown: Any) -> datetime:
    return datetime.fromisoformat(shown["State"]["StartedAt"])
