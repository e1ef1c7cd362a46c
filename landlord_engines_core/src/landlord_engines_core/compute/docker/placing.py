"""What comes after a switch: of the two containers one goes, and the other has the tenant's name."""

from contextlib import suppress

import attrs

from landlord_engines_core.compute.contract import ComputeResult
from landlord_engines_core.compute.docker import removal
from landlord_engines_core.compute.docker.answers import NotFound
from landlord_engines_core.compute.docker.client import DockerClient
from landlord_engines_core.compute.docker.found import Container
from landlord_engines_core.compute.docker.replacement import longest_carry
from landlord_engines_core.compute.docker.settings import DockerSettings
from landlord_engines_core.compute.in_flight import switch
from landlord_engines_core.compute.points import Failpoint
from landlord_engines_core.errors import ComputeUnavailable

__all__ = ["Placing"]


@attrs.frozen(kw_only=True)
class Placing:
    """Has one container in a tenant's place.

    Attributes:
        name: The name that the tenant's container has.
        reached: Told each point.
    """

    client: DockerClient
    settings: DockerSettings
    name: str
    reached: Failpoint

    async def take_over(self, former: Container, next_id: str) -> ComputeResult:
        """Remove the former container and give the next one its name."""
        await removal.remove_replaced(self.client, former, next_id)
        self.reached("update:removed")
        await self.rename(next_id)
        self.reached("update:renamed")
        return ComputeResult(resource_ids=await self._resource_ids(next_id))

    async def give_up(self, former: Container, next_id: str, reason: str) -> ComputeResult:
        """Remove the next container; it goes last, since it tells that the former served."""
        with suppress(NotFound):
            await removal.remove(self.client, Container(await self.client.show(next_id)))
        self.reached("rollback:removed")
        return ComputeResult(resource_ids=await self._resource_ids(former.id), rolled_back=reason)

    async def rename(self, container: str) -> None:
        """Give a container the tenant's name."""
        try:
            await self.client.rename(container, self.name)
        except NotFound:
            # Of one that it is just restarting, an engine misses the network.
            await self._rename_stopped(container)

    async def _rename_stopped(self, container: str) -> None:
        async def forward() -> None:
            await self.client.stop(container)
            try:
                await self.client.rename(container, self.name)
            except ComputeUnavailable:
                await back()
                raise
            await back()

        async def back() -> None:
            await self.client.start(container)

        each = self.settings.request_timeout + self.settings.stop_timeout
        await switch(forward, back, longest=3 * each + longest_carry(self.settings))

    async def _resource_ids(self, container: str) -> dict[str, str]:
        return Container(await self.client.show(container)).resource_ids
