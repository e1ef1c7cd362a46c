"""Bringing a tenant to one container, the right one, from whatever is there.

An update makes the next container beside the current one under a name of its own, stops the current
one, since a port of the host can be held once, starts the next, and once that is healthy removes the
former and takes over its name. Where it does not become healthy, the former is started again. Each
step looks before it acts, so that whoever comes after a crash goes on from what is there.
"""

from contextlib import suppress

import attrs
import backoff

from landlord_engines_core.compute.contract import ComputeResult, ComputeSpec, ResourceState
from landlord_engines_core.compute.docker import names
from landlord_engines_core.compute.docker.answers import Conflict, Gone, StartFailed
from landlord_engines_core.compute.docker.body import container_body, differences
from landlord_engines_core.compute.docker.client import DockerClient
from landlord_engines_core.compute.docker.config import ContainerConfig
from landlord_engines_core.compute.docker.found import Container, find
from landlord_engines_core.compute.docker.health import Health, health_of, is_up
from landlord_engines_core.compute.docker.making import Made, Maker
from landlord_engines_core.compute.docker.settings import DockerSettings
from landlord_engines_core.compute.points import Reached
from landlord_engines_core.errors import ComputeRefused

__all__ = ["Convergence"]


@attrs.frozen(kw_only=True)
class Convergence:
    """One tenant's way to one specification; to be begun anew where somebody else interferes.

    Attributes:
        spec: What the tenant is to have.
        config: Its configuration, as read.
        reached: Told each point.
    """

    client: DockerClient
    settings: DockerSettings
    spec: ComputeSpec
    config: ContainerConfig
    reached: Reached

    async def run(self) -> ComputeResult:
        """Do what is left to do.

        Raises:
            Gone: What was just there is not any more.
            Conflict: Somebody else did the same.
        """
        found = await find(self.client, self.settings.label_prefix, self.spec.tenant)
        for stray in found.strays:
            await self.client.remove(stray.id)
        current, upcoming = found.current, found.upcoming
        if current is None and upcoming is not None:
            # The update that made it came as far as removing the former one.
            await self._rename(upcoming.id)
            current, upcoming = await self._shown(upcoming.id), None
        if current is None:
            made = await self._maker.make(self._name, self._wanted(), "create:created")
            return await self._started(made)
        if not await self._is_right(current):
            return await self._replace(current, upcoming)
        if upcoming is not None:
            await self.client.remove(upcoming.id)
        if current.name != self._name:
            await self._rename(current.id)
        if current.status == "running":
            return ComputeResult(resource_ids=current.resource_ids)
        return await self._started(current.id)

    @property
    def _name(self) -> str:
        return names.current_name(self.settings.label_prefix, self.spec.tenant)

    @property
    def _next_name(self) -> str:
        return names.next_name(self.settings.label_prefix, self.spec.tenant)

    @property
    def _maker(self) -> Maker:
        return Maker(client=self.client, settings=self.settings, reached=self.reached)

    def _wanted(self, *, replaces: str = "") -> Made:
        body = container_body(self.spec, self.config, self.settings, replaces=replaces)
        return Made(tenant=self.spec.tenant, config=self.config, body=body)

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
        if current.status != "running":
            return current.status in ("created", "exited")
        health = await health_of(current.shown, self.settings)
        return health.state is not ResourceState.FAILED

    async def _replace(self, current: Container, upcoming: Container | None) -> ComputeResult:
        served = upcoming is not None and upcoming.replaces == current.id
        may_return = served or await self._serves(current)
        wanted = self._wanted(replaces=current.id if may_return else "")
        upcoming_id = await self._beside(current, upcoming, wanted)
        await self.client.stop(current.id)
        self.reached("update:stopped")
        if not may_return:
            # There is nothing to come back to: whether it becomes healthy is for others to see.
            upcoming_id = await self._start_next(upcoming_id, wanted)
            return await self._take_over(current, upcoming_id)
        try:
            upcoming_id = await self._start_next(upcoming_id, wanted)
            health = await self._settled(upcoming_id)
        except (ComputeRefused, StartFailed) as error:
            health = Health(ResourceState.FAILED, error.message)
        if health.state is not ResourceState.HEALTHY:
            return await self._roll_back(current, health.detail)
        self.reached("update:healthy")
        return await self._take_over(current, upcoming_id)

    async def _serves(self, current: Container) -> bool:
        """Whether to come back to it; one that failed as it is wanted is no better than the next."""
        if current.config_hash != self.spec.config_hash:
            return is_up(current.shown, self.settings)
        health = await health_of(current.shown, self.settings)
        return health.state is not ResourceState.FAILED

    async def _beside(self, current: Container, upcoming: Container | None, wanted: Made) -> str:
        """Have the next container there; one that another update made gives way.

        That one may be what serves: until the image is there it stays, then the current one serves.
        """
        if upcoming is not None:
            if upcoming.config_hash == self.spec.config_hash and not differences(
                wanted.body, upcoming.shown
            ):
                return upcoming.id
            await self._maker.fetch(self.config)
            if upcoming.replaces == current.id:
                with suppress(ComputeRefused, StartFailed, Gone):
                    await self._bring_back(current)
            await self.client.remove(upcoming.id)
        return await self._maker.make(self._next_name, wanted, "update:created")

    async def _start_next(self, container: str, wanted: Made) -> str:
        started = await self._maker.start(self._next_name, container, wanted, "update:created")
        self.reached("update:started")
        return started

    async def _settled(self, container: str) -> Health:
        """Wait until a container is healthy or has failed, for as long as it may take.

        Raises:
            Conflict: It was stopped from outside, which tells nothing of it.
        """

        async def look() -> Health:
            return await health_of(await self.client.show(container), self.settings)

        watched = backoff.on_predicate(
            backoff.expo,
            lambda health: health.state is ResourceState.STARTING,
            factor=0.05,
            max_value=1.0,
            max_time=self.settings.health_timeout,
            jitter=None,
            logger=None,
        )(look)
        health: Health = await watched()
        if health.state is ResourceState.FAILED and (await self._shown(container)).was_cut:
            raise Conflict(f"the next container was stopped by others: {health.detail}")
        return health

    async def _take_over(self, former: Container, upcoming: str) -> ComputeResult:
        await self.client.remove(former.id)
        self.reached("update:removed")
        await self._rename(upcoming)
        self.reached("update:renamed")
        return ComputeResult(resource_ids=(await self._shown(upcoming)).resource_ids)

    async def _rename(self, container: str) -> None:
        try:
            await self.client.rename(container, self._name)
        except Gone:
            # Of one that it is just restarting, an engine misses the network.
            await self.client.stop(container)
            await self.client.rename(container, self._name)
            await self.client.start(container)

    async def _bring_back(self, former: Container) -> None:
        """Let the former container serve again in the place of the next one."""
        with suppress(Gone):
            await self.client.stop(self._next_name)
        self.reached("rollback:stopped")
        await self.client.start(former.id)
        self.reached("rollback:started")

    async def _roll_back(self, former: Container, reason: str) -> ComputeResult:
        """Come back to the former container; the next one goes last, since it tells that it served."""
        await self._bring_back(former)
        await self.client.remove(self._next_name)
        self.reached("rollback:removed")
        again = await self._shown(former.id)
        return ComputeResult(resource_ids=again.resource_ids, rolled_back=reason)
