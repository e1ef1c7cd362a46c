"""Reconciliation of a tenant's containers with its specification.

An update creates the next container beside the current one under another name, and switches to it
(`replacement`). Then it removes the previous container and renames the next one (`promotion`). A crash
can come after any of these requests. Each step therefore decides by the containers that exist, and
the next attempt continues from there.
"""

from contextlib import suppress

import attrs

from landlord_engines_core.compute.contract import ComputeResult, ComputeSpec, ResourceState
from landlord_engines_core.compute.docker.builder import ContainerBuilder, ContainerRequest
from landlord_engines_core.compute.docker.client import DockerClient
from landlord_engines_core.compute.docker.config import ContainerConfig
from landlord_engines_core.compute.docker.drift import find_differences
from landlord_engines_core.compute.docker.errors import NotFound, StartFailed
from landlord_engines_core.compute.docker.health import check_health, is_up
from landlord_engines_core.compute.docker.labels import current_name, next_name
from landlord_engines_core.compute.docker.mounts import Mounts
from landlord_engines_core.compute.docker.observe import Container, TenantContainers
from landlord_engines_core.compute.docker.promotion import Promotion
from landlord_engines_core.compute.docker.references import (
    find_lost_reference,
    has_outdated_image,
    reattach,
)
from landlord_engines_core.compute.docker.removal import remove
from landlord_engines_core.compute.docker.replacement import Replacement
from landlord_engines_core.compute.docker.requests import build_body
from landlord_engines_core.compute.docker.settings import DockerSettings
from landlord_engines_core.compute.docker.volumes import list_dropped_volumes
from landlord_engines_core.compute.in_flight import Failpoint
from landlord_engines_core.errors import ComputeRefused

__all__ = ["Reconciliation"]


@attrs.frozen(kw_only=True)
class Reconciliation:
    """One attempt to bring a tenant to its specification; the caller repeats it after a conflict.

    Attributes:
        observed: The tenant's containers, just observed.
        spec: The tenant's specification.
        config: The configuration in it, as read.
        reached: Called with the name of each failpoint.
    """

    client: DockerClient
    settings: DockerSettings
    observed: TenantContainers
    spec: ComputeSpec
    config: ContainerConfig
    reached: Failpoint

    async def run(self) -> ComputeResult:
        """Leave the tenant with one container of the specification.

        Raises:
            NotFound: An observed container is gone.
            Conflict: Another worker made the same change.
        """
        for orphan in self.observed.orphans:
            await remove(self.client, orphan)
        current, replacement = self.observed.current, self.observed.replacement
        if current is None and replacement is not None:
            # An update was interrupted between the previous container's removal and the rename.
            await self._promotion.rename(replacement.id)
            current, replacement = await self._inspect(replacement.id), None
        if current is None:
            container_id = await self._builder.create(
                self._name, self._build_request(), "create:created"
            )
            return await self._start(container_id)
        if not await self._fits(current):
            return await self._replace(current, replacement)
        if replacement is not None:
            current = await self._remove_replacement(replacement, current)
        if current.name != self._name:
            await self._promotion.rename(current.id)
        if current.status == "running":
            return ComputeResult(resource_ids=current.resource_ids)
        await self._builder.check_mounts(current, self._build_request())
        await reattach(self.client, self.settings, current)
        return await self._start(current.id)

    async def _remove_replacement(self, replacement: Container, current: Container) -> Container:
        """Remove the container of another update, since the current one is requested again."""
        if replacement.is_running and not current.is_running:
            # The replacement serves: the current one has to serve before it is removed.
            await self._builder.ensure_network(self.config)
            await reattach(self.client, self.settings, current)
            with suppress(StartFailed):
                await self._build_replacement(current, replacement.id, can_go_back=True).undo()
        await remove(self.client, replacement)
        return await self._inspect(current.id)

    @property
    def _name(self) -> str:
        return current_name(self.settings.label_prefix, self.spec.tenant)

    @property
    def _next_name(self) -> str:
        return next_name(self.settings.label_prefix, self.spec.tenant)

    @property
    def _builder(self) -> ContainerBuilder:
        started = (container for container in self.observed.all if container.status != "created")
        in_use = frozenset(volume for container in started for volume in container.volumes)
        mounts = Mounts(
            client=self.client, settings=self.settings, tenant=self.spec.tenant, in_use=in_use
        )
        return ContainerBuilder(
            client=self.client, settings=self.settings, mounts=mounts, reached=self.reached
        )

    @property
    def _promotion(self) -> Promotion:
        return Promotion(
            client=self.client, settings=self.settings, name=self._name, reached=self.reached
        )

    def _build_request(self, *, replaces: str = "") -> ContainerRequest:
        dropped = list_dropped_volumes(self.observed.current, self.config)
        body = build_body(self.spec, self.config, self.settings, replaces=replaces, dropped=dropped)
        return ContainerRequest(tenant=self.spec.tenant, config=self.config, body=body)

    def _build_replacement(
        self, previous: Container, next_id: str, *, can_go_back: bool
    ) -> Replacement:
        return Replacement(
            client=self.client,
            settings=self.settings,
            previous=previous,
            next_id=next_id,
            can_go_back=can_go_back,
            reached=self.reached,
        )

    async def _inspect(self, container_id: str) -> Container:
        return Container(await self.client.inspect(container_id))

    async def _start(self, container_id: str) -> ComputeResult:
        request = self._build_request()
        container_id = await self._builder.start(
            self._name, container_id, request, "create:created"
        )
        self.reached("create:started")
        return ComputeResult(resource_ids=(await self._inspect(container_id)).resource_ids)

    async def _fits(self, current: Container) -> bool:
        """Return whether a container fits the specification, or will once it is started."""
        if current.config_hash != self.spec.config_hash or current.drift:
            return False
        if find_differences(self._build_request().body, current.raw):
            return False
        if not await self._has_references(current):
            return False
        if current.status != "running":
            return current.status in ("created", "exited")
        return not await self._has_failed(current)

    async def _has_failed(self, container: Container) -> bool:
        health = await check_health(container.raw, self.settings)
        return health.state is ResourceState.FAILED

    async def _has_references(self, container: Container) -> bool:
        """Return whether a container has the objects that its configuration names, by id."""
        if await find_lost_reference(self.client, container):
            return False
        if container.is_running and self.config.pull_policy == "always":
            # Only a pull shows whether the reference now names another image.
            await self._builder.ensure_image(self.config)
        return not await has_outdated_image(self.client, container)

    async def _replace(self, current: Container, replacement: Container | None) -> ComputeResult:
        current_served = replacement is not None and replacement.replaces == current.id
        can_go_back = current_served or await self._is_worth_keeping(current)
        # The label records, for later attempts, that the current container served.
        request = self._build_request(replaces=current.id if can_go_back else "")
        next_id = await self._prepare_next(current, replacement, request)
        await self._builder.ensure_network(self.config)
        await reattach(self.client, self.settings, current)
        failure = await self._build_replacement(current, next_id, can_go_back=can_go_back).run()
        if isinstance(failure, StartFailed):
            # A container of a daemon that was killed meanwhile may never start.
            next_id = await self._builder.recreate(
                self._next_name, next_id, request, "update:created"
            )
            failure = await self._build_replacement(current, next_id, can_go_back=can_go_back).run()
        if failure is None:
            return await self._promotion.promote(current, next_id)
        if not can_go_back:
            raise failure
        return await self._promotion.abandon(current, next_id, failure.message)

    async def _is_worth_keeping(self, current: Container) -> bool:
        """Return whether to go back to the current container if the next one fails."""
        if current.config_hash != self.spec.config_hash:
            return is_up(current.raw, self.settings)
        # With the requested configuration it failed just as the next container would.
        return not await self._has_failed(current)

    async def _is_requested(self, replacement: Container, request: ContainerRequest) -> bool:
        """Return whether an earlier attempt's container is what this attempt would create."""
        return (
            replacement.config_hash == self.spec.config_hash
            and not find_differences(request.body, replacement.raw)
            and await self._has_references(replacement)
        )

    async def _prepare_next(
        self, current: Container, replacement: Container | None, request: ContainerRequest
    ) -> str:
        """Return the id of the next container, created unless an earlier attempt did."""
        if replacement is not None:
            if await self._is_requested(replacement, request):
                await self._builder.check_mounts(replacement, request)
                return replacement.id
            # Another update's container has the name that the next one needs, and may serve. A pull
            # takes long and may fail: it comes before the switch back to the current container.
            await self._builder.ensure_image(self.config)
            if replacement.replaces == current.id:
                with suppress(ComputeRefused, StartFailed, NotFound):
                    await self._build_replacement(current, replacement.id, can_go_back=True).undo()
            await remove(self.client, replacement)
        return await self._builder.create(self._next_name, request, "update:created")
