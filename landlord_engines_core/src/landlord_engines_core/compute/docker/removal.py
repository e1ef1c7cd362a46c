"""Removal of a container with its unnamed volumes, by one rule for every removal.

A container owns its unnamed volumes. They are removed with it if its configuration says
``remove_volumes``, whether an update, a rollback or a delete removes it. In an update both
configurations have to say so, since the next container may keep data of the previous one. The volumes
of a container that never started have no data and are always removed.

Named volumes belong to the tenant (`volumes`). Images, networks and folders belong to the operator.
"""

from landlord_engines_core.compute.docker.client import DockerClient
from landlord_engines_core.compute.docker.observe import Container

__all__ = ["remove", "remove_replaced"]


async def remove(client: DockerClient, container: Container) -> None:
    """Remove a container with the volumes it owns."""
    volumes = container.removes_volumes or container.status == "created"
    await client.remove(container.id, volumes=volumes)


async def remove_replaced(client: DockerClient, previous: Container, next_id: str) -> None:
    """Remove a container that another one has replaced.

    Raises:
        NotFound: The replacement is gone.
    """
    replacement = Container(await client.inspect(next_id))
    volumes = previous.removes_volumes and replacement.removes_volumes
    await client.remove(previous.id, volumes=volumes or previous.status == "created")
