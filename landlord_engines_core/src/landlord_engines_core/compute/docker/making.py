"""Making a container, and all that it needs, and making sure that it is what was asked for."""

import attrs

from landlord_engines_core.compute.docker import names, removal
from landlord_engines_core.compute.docker.answers import Conflict, NotFound, StartFailed
from landlord_engines_core.compute.docker.body import Body, differences
from landlord_engines_core.compute.docker.client import DockerClient
from landlord_engines_core.compute.docker.config import ContainerConfig
from landlord_engines_core.compute.docker.found import Container
from landlord_engines_core.compute.docker.mounts import Mounts
from landlord_engines_core.compute.docker.references import PREDEFINED_NETWORKS
from landlord_engines_core.compute.docker.settings import DockerSettings
from landlord_engines_core.compute.points import Failpoint
from landlord_engines_core.errors import ComputeRefused, ComputeUnavailable

__all__ = ["ContainerBuilder", "ContainerRequest"]


@attrs.frozen(kw_only=True)
class ContainerRequest:
    """What a container is to be.

    Attributes:
        tenant: Whose it is.
        config: Its configuration, as read.
        body: What is sent to make it.
    """

    tenant: str
    config: ContainerConfig
    body: Body = attrs.field(repr=False)


@attrs.frozen(kw_only=True)
class ContainerBuilder:
    """Makes and starts containers.

    Attributes:
        mounts: What the tenant may mount.
        reached: Told each point.
    """

    client: DockerClient
    settings: DockerSettings
    mounts: Mounts
    reached: Failpoint

    async def make(self, name: str, wanted: ContainerRequest, point: str) -> str:
        """Make a container, without starting it.

        Returns:
            Its id.

        Raises:
            Conflict: The tenant has one of this name by now.
            ComputeRefused: The image does not exist, the name is somebody else's, or what the
                engine made is not what was asked for.
        """
        image = await self.fetch(wanted.config)
        await self.ensure_network(wanted.config)
        await self._require_partner(wanted.config)
        await self.mounts.prepare(wanted.config)
        try:
            made = await self.client.create(name, _noting(image, wanted.body))
        except Conflict:
            await self._refuse_foreign(name, wanted.tenant)
            raise
        self.reached(point)
        await self._read_back(made, wanted)
        return made

    async def start(self, name: str, container: str, wanted: ContainerRequest, point: str) -> str:
        """Start a container; one that the engine can no longer start is made again, once.

        An engine that was killed between the two may never start what it made.

        Returns:
            The id of the one that runs.
        """
        await self.ensure_network(wanted.config)
        try:
            await self.client.start(container)
        except StartFailed:
            container = await self.remake(name, container, wanted, point)
            await self.client.start(container)
        return container

    async def remake(self, name: str, container: str, wanted: ContainerRequest, point: str) -> str:
        """Make a container again that the engine can no longer start.

        Returns:
            The id of the new one.
        """
        await removal.remove(self.client, Container(await self.client.show(container)))
        return await self.make(name, wanted, point)

    async def fetch(self, config: ContainerConfig) -> str:
        """Have the image there, as the configuration wants it fetched.

        Returns:
            The image's id.

        Raises:
            ComputeRefused: It does not exist, or is not to be fetched.
        """
        if config.pull_policy != "always" and (image := await self.client.image_id(config.image)):
            return image
        if config.pull_policy == "never":
            raise ComputeRefused(
                "the engine does not have the image in $.image, and $.pull_policy is never"
            )
        await self.client.pull(config.image)
        if image := await self.client.image_id(config.image):
            return image
        # A stream that ends early looks like one that came to its end.
        raise ComputeUnavailable("the image in $.image is not there although it was pulled")

    async def ensure_network(self, config: ContainerConfig) -> None:
        """Have the network there that a configuration means."""
        settings = self.settings
        if not config.network_mode and settings.network_name not in PREDEFINED_NETWORKS:
            await self.client.ensure_network(settings.network_name, settings.network_driver)

    async def check_mounts(self, container: Container, wanted: ContainerRequest) -> None:
        """Look at what a container has mounted that was made before, maybe by a worker that died.

        Raises:
            ComputeRefused: It has what its tenant may not have.
        """
        await self.mounts.prepare(wanted.config)
        if wrong := await self.mounts.wrong(container, wanted.config):
            if container.status == "created":
                await removal.remove(self.client, container)
            raise _unlike(wrong)

    async def _require_partner(self, config: ContainerConfig) -> None:
        """An engine makes a container that shares the network of one that does not exist."""
        if not config.partner:
            return
        try:
            await self.client.show(config.partner)
        except NotFound:
            raise ComputeRefused(
                "the container that $.network_mode names is not there",
                hint="start that container, or name another one",
            ) from None

    async def _refuse_foreign(self, name: str, tenant: str) -> None:
        holder = Container(await self.client.show(name))
        if not names.belongs_to(holder.labels, tenant):
            raise ComputeRefused(
                f"the name {name} is held by a container that is not this tenant's",
                hint="remove or rename that container",
            )

    async def _read_back(self, made: str, wanted: ContainerRequest) -> None:
        """Compare what was made with what was asked for; what differs is removed again."""
        shown = Container(await self.client.show(made))
        wrong = [
            *differences(wanted.body, shown.shown),
            *await self.mounts.wrong(shown, wanted.config),
        ]
        if wrong:
            await removal.remove(self.client, shown)
            raise _unlike(wrong)


def _noting(image: str, body: Body) -> Body:
    return {**body, "Labels": {**body["Labels"], names.IMAGE: image}}


def _unlike(wrong: list[str]) -> ComputeRefused:
    return ComputeRefused(
        f"the engine did not make the container as it was asked to: {', '.join(wrong)}",
        hint="what the engine, its version or a plugin makes of it has to be looked at",
    )
