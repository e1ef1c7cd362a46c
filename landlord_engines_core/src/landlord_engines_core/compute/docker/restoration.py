"""Putting back into service what a cut switch left out of it, by what is on the engine alone.

It ends an update whose worker died and whose job nobody goes on with. Where the next container is
healthy, the update is brought to its end: were both left, an engine that comes back might start the
two of them. Otherwise the former container serves again. Neither needs the configuration.
"""

import attrs

from landlord_engines_core.compute.contract import ResourceState
from landlord_engines_core.compute.docker import removal
from landlord_engines_core.compute.docker.client import DockerClient
from landlord_engines_core.compute.docker.found import Container, TenantContainers
from landlord_engines_core.compute.docker.placing import Placing
from landlord_engines_core.compute.docker.references import reattach
from landlord_engines_core.compute.docker.replacement import Replacement
from landlord_engines_core.compute.docker.settings import DockerSettings
from landlord_engines_core.compute.points import Failpoint

__all__ = ["Restoration"]


@attrs.frozen(kw_only=True)
class Restoration:
    """One tenant's way back into service.

    Attributes:
        found: The tenant's containers, as they were seen just now.
        name: The name that the tenant's container has.
        reached: Told each point.
    """

    client: DockerClient
    settings: DockerSettings
    found: TenantContainers
    name: str
    reached: Failpoint

    async def run(self) -> bool:
        """Do what can be done.

        Returns:
            Whether anything was done.
        """
        current, replacement = self.found.current, self.found.replacement
        if current is not None and replacement is not None:
            return await self._end_update(current, replacement)
        if current is not None:
            return await self._start(current)
        if replacement is not None:
            await self._placing.rename(replacement.id)
            await self._start(replacement)
        return replacement is not None

    async def _start(self, container: Container) -> bool:
        """Start what was stopped from outside, by a cut act or by hand: the engine does not tell."""
        if container.was_cut:
            await reattach(self.client, self.settings, container)
            await self.client.start(container.id)
        return container.was_cut

    async def _end_update(self, former: Container, replacement: Container) -> bool:
        served = replacement.replaces == former.id
        switch = Replacement(
            client=self.client,
            settings=self.settings,
            former=former,
            next_id=replacement.id,
            returns=True,
            reached=self.reached,
        )
        if replacement.runs and (not served or await self._is_healthy(switch)):
            await self._placing.take_over(former, replacement.id)
        elif served:
            await reattach(self.client, self.settings, former)
            await switch.undo()
            await removal.remove(self.client, replacement)
        else:
            return await self._start(former)
        return True

    async def _is_healthy(self, switch: Replacement) -> bool:
        return (await switch.health()).state is ResourceState.HEALTHY

    @property
    def _placing(self) -> Placing:
        return Placing(
            client=self.client, settings=self.settings, name=self.name, reached=self.reached
        )
