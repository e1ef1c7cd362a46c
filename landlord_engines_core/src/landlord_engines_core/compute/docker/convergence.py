"""Bringing a tenant to one container, the right one, from whatever is there.

An update makes the next container beside the current one under a name of its own, lets it take the
place of that (`replacement`), and then removes the former and takes over its name. Each step looks
before it acts, so that whoever comes after a crash goes on from what is there.
"""

from contextlib import suppress

import attrs

from landlord_engines_core.compute.contract import ComputeResult, ComputeSpec, ResourceState
from landlord_engines_core.compute.docker import names, removal, volumes
from landlord_engines_core.compute.docker.answers import NotFound, StartFailed
from landlord_engines_core.compute.docker.body import container_body, differences
from landlord_engines_core.compute.docker.client import DockerClient
from landlord_engines_core.compute.docker.config import ContainerConfig
from landlord_engines_core.compute.docker.found import Container, TenantContainers
from landlord_engines_core.compute.docker.health import health_of, is_up
from landlord_engines_core.compute.docker.making import ContainerBuilder, ContainerRequest
from landlord_engines_core.compute.docker.mounts import Mounts
from landlord_engines_core.compute.docker.placing import Placing
from landlord_engines_core.compute.docker.references import (
    has_former_image,
    lost_reference,
    reattach,
)
from landlord_engines_core.compute.docker.replacement import Replacement
from landlord_engines_core.compute.docker.settings import DockerSettings
from landlord_engines_core.compute.points import Failpoint
from landlord_engines_core.errors import ComputeRefused

__all__ = ["Convergence"]


@attrs.frozen(kw_only=True)
class Convergence:
    """One tenant's way to one specification; to be begun anew where somebody else interferes.

    Attributes:
        found: The tenant's containers, as they were seen just now.
        spec: What the tenant is to have.
        config: Its configuration, as read.
        reached: Told each point.
    """

    client: DockerClient
    settings: DockerSettings
    found: TenantContainers
    spec: ComputeSpec
    config: ContainerConfig
    reached: Failpoint

    async def run(self) -> ComputeResult:
        """Do what is left to do.

        Raises:
            NotFound: What was just there is not any more.
            Conflict: Somebody else did the same.
        """
        for stray in self.found.orphans:
            await removal.remove(self.client, stray)
        current, replacement = self.found.current, self.found.replacement
        if current is None and replacement is not None:
            # The update that made it came as far as removing the former one.
            await self._placing.rename(replacement.id)
            current, replacement = await self._shown(replacement.id), None
        if current is None:
            made = await self._maker.make(self._name, self._wanted(), "create:created")
            return await self._started(made)
        if not await self._is_right(current):
            return await self._replace(current, replacement)
        if replacement is not None:
            current = await self._without(replacement, current)
        if current.name != self._name:
            await self._placing.rename(current.id)
        if current.status == "running":
            return ComputeResult(resource_ids=current.resource_ids)
        await self._maker.check_mounts(current, self._wanted())
        await reattach(self.client, self.settings, current)
        return await self._started(current.id)

    async def _without(self, replacement: Container, current: Container) -> Container:
        """Remove what an update made whose former container is wanted again; it may be what serves."""
        if replacement.runs and not current.runs:
            await self._maker.ensure_network(self.config)
            await reattach(self.client, self.settings, current)
            with suppress(StartFailed):
                await self._replacement(current, replacement.id, returns=True).undo()
        await removal.remove(self.client, replacement)
        return await self._shown(current.id)

    @property
    def _name(self) -> str:
        return names.current_name(self.settings.label_prefix, self.spec.tenant)

    @property
    def _next_name(self) -> str:
        return names.next_name(self.settings.label_prefix, self.spec.tenant)

    @property
    def _maker(self) -> ContainerBuilder:
        served = (one for one in self.found.all if one.status != "created")
        held = frozenset(volume for one in served for volume in one.volumes)
        mounts = Mounts(
            client=self.client, settings=self.settings, tenant=self.spec.tenant, held=held
        )
        return ContainerBuilder(
            client=self.client, settings=self.settings, mounts=mounts, reached=self.reached
        )

    @property
    def _placing(self) -> Placing:
        return Placing(
            client=self.client, settings=self.settings, name=self._name, reached=self.reached
        )

    def _wanted(self, *, replaces: str = "") -> ContainerRequest:
        dropped = volumes.dropped(self.found.current, self.config)
        body = container_body(
            self.spec, self.config, self.settings, replaces=replaces, dropped=dropped
        )
        return ContainerRequest(tenant=self.spec.tenant, config=self.config, body=body)

    async def _shown(self, container: str) -> Container:
        return Container(await self.client.show(container))

    async def _started(self, container: str) -> ComputeResult:
        wanted = self._wanted()
        container = await self._maker.start(self._name, container, wanted, "create:created")
        self.reached("create:started")
        return ComputeResult(resource_ids=(await self._shown(container)).resource_ids)

    async def _is_right(self, current: Container) -> bool:
        """Whether a container is what is asked for, or will be once it is started."""
        if current.config_hash != self.spec.config_hash or current.drift():
            return False
        if differences(self._wanted().body, current.shown):
            return False
        if not await self._has_references(current):
            return False
        if current.status != "running":
            return current.status in ("created", "exited")
        health = await health_of(current.shown, self.settings)
        return health.state is not ResourceState.FAILED

    async def _has_references(self, container: Container) -> bool:
        """Whether a container has what its configuration names, by identity; ``always`` asks anew."""
        if await lost_reference(self.client, container):
            return False
        if container.runs and self.config.pull_policy == "always":
            await self._maker.fetch(self.config)
        return not await has_former_image(self.client, container)

    async def _replace(self, current: Container, replacement: Container | None) -> ComputeResult:
        served = replacement is not None and replacement.replaces == current.id
        may_return = served or await self._serves(current)
        wanted = self._wanted(replaces=current.id if may_return else "")
        next_id = await self._beside(current, replacement, wanted)
        await self._maker.ensure_network(self.config)
        await reattach(self.client, self.settings, current)
        failure = await self._replacement(current, next_id, returns=may_return).run()
        if isinstance(failure, StartFailed):
            next_id = await self._maker.remake(self._next_name, next_id, wanted, "update:created")
            failure = await self._replacement(current, next_id, returns=may_return).run()
        if failure is None:
            return await self._placing.take_over(current, next_id)
        if not may_return:
            raise failure
        return await self._placing.give_up(current, next_id, failure.message)

    def _replacement(self, former: Container, next_id: str, *, returns: bool) -> Replacement:
        return Replacement(
            client=self.client,
            settings=self.settings,
            former=former,
            next_id=next_id,
            returns=returns,
            reached=self.reached,
        )

    async def _serves(self, current: Container) -> bool:
        """Whether to come back to it; one that failed as it is wanted is no better than the next."""
        if current.config_hash != self.spec.config_hash:
            return is_up(current.shown, self.settings)
        health = await health_of(current.shown, self.settings)
        return health.state is not ResourceState.FAILED

    async def _is_next(self, replacement: Container, wanted: ContainerRequest) -> bool:
        """Whether what an earlier attempt made is what this one would make."""
        return (
            replacement.config_hash == self.spec.config_hash
            and not differences(wanted.body, replacement.shown)
            and await self._has_references(replacement)
        )

    async def _beside(
        self, current: Container, replacement: Container | None, wanted: ContainerRequest
    ) -> str:
        """Have the next container there; one that another update made gives way.

        That one may be what serves: until the image is there it stays, then the current one serves.
        """
        if replacement is not None:
            if await self._is_next(replacement, wanted):
                await self._maker.check_mounts(replacement, wanted)
                return replacement.id
            await self._maker.fetch(self.config)
            if replacement.replaces == current.id:
                with suppress(ComputeRefused, StartFailed, NotFound):
                    await self._replacement(current, replacement.id, returns=True).undo()
            await removal.remove(self.client, replacement)
        return await self._maker.make(self._next_name, wanted, "update:created")
