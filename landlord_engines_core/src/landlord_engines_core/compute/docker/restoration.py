"""Restoration of a tenant's service after an interrupted update, without its configuration.

It completes an update whose worker died and whose job nobody continues. If the next container is
healthy, it is promoted; otherwise the previous container serves again. One of them is removed: a
restarted daemon might start both.
"""

import attrs

from landlord_engines_core.compute.contract import ResourceState
from landlord_engines_core.compute.docker.client import DockerClient
from landlord_engines_core.compute.docker.observe import Container, TenantContainers
from landlord_engines_core.compute.docker.promotion import Promotion
from landlord_engines_core.compute.docker.references import reattach
from landlord_engines_core.compute.docker.removal import remove
from landlord_engines_core.compute.docker.replacement import Replacement
from landlord_engines_core.compute.docker.settings import DockerSettings
from landlord_engines_core.compute.in_flight import Failpoint

__all__ = ["Restoration"]


@attrs.frozen(kw_only=True)
class Restoration:
    """A restoration of one tenant.

    Attributes:
        observed: The tenant's containers, just observed.
        name: The name of the tenant's container.
        reached: Called with the name of each failpoint.
    """

    client: DockerClient
    settings: DockerSettings
    observed: TenantContainers
    name: str
    reached: Failpoint

    async def run(self) -> bool:
        """Restore the tenant's service.

        Returns:
            Whether anything was changed.
        """
        current, replacement = self.observed.current, self.observed.replacement
        if current is not None and replacement is not None:
            return await self._complete_update(current, replacement)
        if current is not None:
            return await self._start_interrupted(current)
        if replacement is not None:
            await self._promotion.rename(replacement.id)
            await self._start_interrupted(replacement)
        return replacement is not None

    async def _start_interrupted(self, container: Container) -> bool:
        # A person may have stopped it too: the daemon does not say who did.
        if container.was_interrupted:
            await reattach(self.client, self.settings, container)
            await self.client.start(container.id)
        return container.was_interrupted

    async def _complete_update(self, previous: Container, replacement: Container) -> bool:
        previous_served = replacement.replaces == previous.id
        update = Replacement(
            client=self.client,
            settings=self.settings,
            previous=previous,
            next_id=replacement.id,
            can_go_back=True,
            reached=self.reached,
        )
        if replacement.is_running and (not previous_served or await self._is_healthy(update)):
            await self._promotion.promote(previous, replacement.id)
        elif previous_served:
            await reattach(self.client, self.settings, previous)
            await update.undo()
            await remove(self.client, replacement)
        else:
            return await self._start_interrupted(previous)
        return True

    async def _is_healthy(self, update: Replacement) -> bool:
        return (await update.wait_decided()).state is ResourceState.HEALTHY

    @property
    def _promotion(self) -> Promotion:
        return Promotion(
            client=self.client, settings=self.settings, name=self.name, reached=self.reached
        )
