"""End of an update: one of the two containers is removed, and the other gets the tenant's name."""

from contextlib import suppress

import attrs

from landlord_engines_core.compute.contract import ComputeResult
from landlord_engines_core.compute.docker.client import DockerClient
from landlord_engines_core.compute.docker.errors import NotFound
from landlord_engines_core.compute.docker.observe import Container
from landlord_engines_core.compute.docker.removal import remove, remove_replaced
from landlord_engines_core.compute.docker.replacement import longest_carry
from landlord_engines_core.compute.docker.settings import DockerSettings
from landlord_engines_core.compute.in_flight import Failpoint, switch
from landlord_engines_core.errors import ComputeUnavailable

__all__ = ["Promotion"]


@attrs.frozen(kw_only=True)
class Promotion:
    """The end of a tenant's update.

    Attributes:
        name: The name of the tenant's container.
        reached: Called with the name of each failpoint.
    """

    client: DockerClient
    settings: DockerSettings
    name: str
    reached: Failpoint

    async def promote(self, previous: Container, next_id: str) -> ComputeResult:
        """Remove the previous container and give the next one its name."""
        await remove_replaced(self.client, previous, next_id)
        self.reached("update:removed")
        await self.rename(next_id)
        self.reached("update:renamed")
        return ComputeResult(resource_ids=await self._resource_ids(next_id))

    async def abandon(self, previous: Container, next_id: str, reason: str) -> ComputeResult:
        """Remove the next container once the previous one serves again.

        It is removed last: only its label records that the previous one served.
        """
        with suppress(NotFound):
            await remove(self.client, Container(await self.client.inspect(next_id)))
        self.reached("rollback:removed")
        return ComputeResult(resource_ids=await self._resource_ids(previous.id), rolled_back=reason)

    async def rename(self, container_id: str) -> None:
        """Give a container the tenant's name."""
        try:
            await self.client.rename(container_id, self.name)
        except NotFound:
            # While the daemon restarts a container, a rename fails: it misses the network sandbox.
            await self._stop_and_rename(container_id)

    async def _stop_and_rename(self, container_id: str) -> None:
        async def forward() -> None:
            await self.client.stop(container_id)
            try:
                await self.client.rename(container_id, self.name)
            except ComputeUnavailable:
                await back()
                raise
            await back()

        async def back() -> None:
            await self.client.start(container_id)

        # A stop, a rename and a start, and after a cancellation the switch back.
        request = self.settings.request_timeout + self.settings.stop_timeout
        await switch(forward, back, longest=3 * request + longest_carry(self.settings))

    async def _resource_ids(self, container_id: str) -> dict[str, str]:
        return Container(await self.client.inspect(container_id)).resource_ids
