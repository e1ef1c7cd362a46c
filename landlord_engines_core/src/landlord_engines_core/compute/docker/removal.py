"""Removing a container with what it owns, by one rule for every removal.

A container owns its volumes that have no name. They go with it where its configuration says
``remove_volumes``, whatever removes it: an update, a rollback, an orphan's removal, a remake or a
delete. In an update both configurations have to say so: what the next one keeps may be the former's
data. The volumes of a container that was never started hold nothing of a tenant, and always go.

Named volumes belong to the tenant (`volumes`). An image, a network and a folder belong to the operator.
"""

from landlord_engines_core.compute.docker.client import DockerClient
from landlord_engines_core.compute.docker.found import Container

__all__ = ["remove", "remove_replaced"]


async def remove(client: DockerClient, container: Container) -> None:
    """Remove a container with what it owns."""
    owned = container.takes_volumes_along or container.status == "created"
    await client.remove(container.id, volumes=owned)


async def remove_replaced(client: DockerClient, former: Container, next_id: str) -> None:
    """Remove a container whose place another has taken.

    Raises:
        NotFound: The other one is not there any more.
    """
    following = Container(await client.show(next_id))
    owned = former.takes_volumes_along and following.takes_volumes_along
    await client.remove(former.id, volumes=owned or former.status == "created")
