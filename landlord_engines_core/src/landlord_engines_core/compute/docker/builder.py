"""Creation and start of containers, with everything that they need."""

import attrs

from landlord_engines_core.compute.docker.client import DockerClient
from landlord_engines_core.compute.docker.config import ContainerConfig
from landlord_engines_core.compute.docker.drift import find_differences
from landlord_engines_core.compute.docker.errors import Conflict, NotFound, StartFailed
from landlord_engines_core.compute.docker.labels import IMAGE, belongs_to
from landlord_engines_core.compute.docker.mounts import Mounts
from landlord_engines_core.compute.docker.observe import Container
from landlord_engines_core.compute.docker.references import PREDEFINED_NETWORKS
from landlord_engines_core.compute.docker.removal import remove
from landlord_engines_core.compute.docker.requests import Body
from landlord_engines_core.compute.docker.settings import DockerSettings
from landlord_engines_core.compute.in_flight import Failpoint
from landlord_engines_core.errors import ComputeRefused, ComputeUnavailable

__all__ = ["ContainerBuilder", "ContainerRequest"]


@attrs.frozen(kw_only=True)
class ContainerRequest:
    """A request for a container.

    Attributes:
        tenant: The tenant's key.
        config: The tenant's configuration, as read.
        body: The body that creates the container.
    """

    tenant: str
    config: ContainerConfig
    body: Body = attrs.field(repr=False)


@attrs.frozen(kw_only=True)
class ContainerBuilder:
    """Creates and starts containers of one tenant.

    Attributes:
        mounts: The mounts that the tenant may have.
        reached: Called with the name of each failpoint.
    """

    client: DockerClient
    settings: DockerSettings
    mounts: Mounts
    reached: Failpoint

    async def create(self, name: str, request: ContainerRequest, failpoint: str) -> str:
        """Create a container without starting it, and return its id.

        Raises:
            Conflict: The tenant already has a container of this name.
            ComputeRefused: The image does not exist, the name belongs to somebody else, or the
                daemon's container differs from the request.
        """
        image_id = await self.ensure_image(request.config)
        await self.ensure_network(request.config)
        await self._require_network_container(request.config)
        await self.mounts.prepare(request.config)
        labels = {**request.body["Labels"], IMAGE: image_id}
        try:
            container_id = await self.client.create(name, {**request.body, "Labels": labels})
        except Conflict:
            await self._refuse_foreign(name, request.tenant)
            raise
        self.reached(failpoint)
        await self._verify(container_id, request)
        return container_id

    async def start(
        self, name: str, container_id: str, request: ContainerRequest, failpoint: str
    ) -> str:
        """Start a container, creating it anew once if it cannot be started.

        Returns:
            The id of the container that runs.
        """
        await self.ensure_network(request.config)
        try:
            await self.client.start(container_id)
        except StartFailed:
            # A daemon that was killed between a create and a start may never start the container.
            container_id = await self.recreate(name, container_id, request, failpoint)
            await self.client.start(container_id)
        return container_id

    async def recreate(
        self, name: str, container_id: str, request: ContainerRequest, failpoint: str
    ) -> str:
        """Replace a container that cannot be started by a new one, and return the new id."""
        await remove(self.client, Container(await self.client.inspect(container_id)))
        return await self.create(name, request, failpoint)

    async def ensure_image(self, config: ContainerConfig) -> str:
        """Pull the image as the pull policy says, and return its id.

        Raises:
            ComputeRefused: The image does not exist, or must not be pulled.
        """
        if config.pull_policy != "always" and (image := await self.client.image_id(config.image)):
            return image
        if config.pull_policy == "never":
            raise ComputeRefused(
                "the Docker daemon does not have the image in $.image, and $.pull_policy is never"
            )
        await self.client.pull(config.image)
        if image := await self.client.image_id(config.image):
            return image
        # A stream of a pull that breaks off looks like one that has ended.
        raise ComputeUnavailable("the image in $.image is missing although it was pulled")

    async def ensure_network(self, config: ContainerConfig) -> None:
        """Create the operator's network if the configuration uses it and it is missing."""
        settings = self.settings
        if not config.network_mode and settings.network_name not in PREDEFINED_NETWORKS:
            await self.client.ensure_network(settings.network_name, settings.network_driver)

    async def check_mounts(self, container: Container, request: ContainerRequest) -> None:
        """Check the mounts of a container that an earlier attempt created.

        Raises:
            ComputeRefused: It has a mount that its tenant may not have.
        """
        await self.mounts.prepare(request.config)
        if forbidden := await self.mounts.find_forbidden(container, request.config):
            if container.status == "created":
                await remove(self.client, container)
            raise _mismatch_error(forbidden)

    async def _require_network_container(self, config: ContainerConfig) -> None:
        # The daemon would create the container anyway, and fail to start it.
        if not config.network_container:
            return
        try:
            await self.client.inspect(config.network_container)
        except NotFound:
            raise ComputeRefused(
                "the container that $.network_mode names does not exist",
                hint="start that container, or name another one",
            ) from None

    async def _refuse_foreign(self, name: str, tenant: str) -> None:
        existing = Container(await self.client.inspect(name))
        if not belongs_to(existing.labels, tenant):
            raise ComputeRefused(
                f"the name {name} is taken by a container that is not this tenant's",
                hint="remove or rename that container",
            )

    async def _verify(self, container_id: str, request: ContainerRequest) -> None:
        """Compare a new container with its request, and remove it if they differ."""
        container = Container(await self.client.inspect(container_id))
        differences = [
            *find_differences(request.body, container.raw),
            *await self.mounts.find_forbidden(container, request.config),
        ]
        if differences:
            await remove(self.client, container)
            raise _mismatch_error(differences)


def _mismatch_error(fields: list[str]) -> ComputeRefused:
    return ComputeRefused(
        "the Docker daemon did not create the container as requested; these fields differ:"
        f" {', '.join(fields)}",
        hint="check whether the daemon's version or one of its plugins changes them",
    )
