"""The compute engine ``docker``: one container for each tenant, found by its labels."""

from collections.abc import Mapping
from contextlib import suppress
from typing import ClassVar

import attrs

from landlord_engines_core.compute.contract import (
    ComputeEngine,
    ComputeResult,
    ComputeSpec,
    Observation,
    ResourceState,
)
from landlord_engines_core.compute.docker.client import DockerClient
from landlord_engines_core.compute.docker.config import SCHEMA, ContainerConfig, read_config
from landlord_engines_core.compute.docker.drift import is_equivalent
from landlord_engines_core.compute.docker.errors import Conflict, NotFound
from landlord_engines_core.compute.docker.health import Health, check_health
from landlord_engines_core.compute.docker.labels import current_name, identity_labels
from landlord_engines_core.compute.docker.observe import (
    Container,
    TenantContainers,
    find_containers,
)
from landlord_engines_core.compute.docker.policy import check_policy
from landlord_engines_core.compute.docker.reconcile import Reconciliation
from landlord_engines_core.compute.docker.references import find_lost_reference, has_outdated_image
from landlord_engines_core.compute.docker.removal import remove
from landlord_engines_core.compute.docker.replacement import longest_carry
from landlord_engines_core.compute.docker.requests import build_body
from landlord_engines_core.compute.docker.restoration import Restoration
from landlord_engines_core.compute.docker.settings import DockerSettings
from landlord_engines_core.compute.docker.volumes import (
    forget_volumes,
    note_volumes,
    remove_noted_volumes,
)
from landlord_engines_core.compute.factory import ComputeContext
from landlord_engines_core.compute.in_flight import Failpoint, begin_observation, pass_by
from landlord_engines_core.errors import ComputeUnavailable

__all__ = ["DockerCompute"]

_ATTEMPTS = 8
"""Maximum attempts of one call while other workers interfere with the tenant."""


@attrs.frozen(kw_only=True)
class DockerCompute(ComputeEngine):
    """One container for each tenant; all state is on the daemon.

    Attributes:
        context: The operator's settings, and the worker's metrics.
        reached: Called with the name of each failpoint.
    """

    context: ComputeContext
    reached: Failpoint = pass_by
    single_location: ClassVar[bool] = True
    _client: DockerClient = attrs.field(init=False, repr=False)

    @_client.default
    def _make_client(self) -> DockerClient:
        return DockerClient(self.settings, self.context.time_request)

    @property
    def settings(self) -> DockerSettings:
        """The operator's settings."""
        settings: DockerSettings = self.context.settings
        return settings

    def config_schema(self) -> Mapping[str, object]:
        """Return Landlord's schema with the keys that only this engine has."""
        return SCHEMA

    def config_defaults(self) -> Mapping[str, object]:
        """Return the section ``compute.docker`` without the operator's keys."""
        return self.context.defaults

    def validate(self, config: Mapping[str, object]) -> None:
        """Check form and policy."""
        self._read(config)

    def validate_defaults(self) -> None:
        """Check form and policy; a tenant may add the image."""
        defaults = self.context.defaults
        self._read({**defaults, "image": defaults.get("image") or "image"})

    def location(self, config: Mapping[str, object]) -> str:  # noqa: ARG002  # the contract's signature
        """Return the only location, the daemon."""
        return ""

    async def reach(self) -> str:
        """Ask the daemon for its version."""
        return await self._client.version()

    async def inspect(self, tenant: str, location: str) -> Observation:  # noqa: ARG002  # as above
        """Observe the tenant's containers."""
        containers = await self._find_containers(tenant)
        container = containers.current or containers.replacement
        if container is None:
            return Observation(state=ResourceState.MISSING)
        health = await self._judge_containers(containers, container, tenant)
        observation = Observation(
            state=health.state,
            config_hash=container.config_hash,
            key_hashes=container.key_hashes,
            resource_ids=container.resource_ids,
            detail=health.detail,
        )
        if health.state is not ResourceState.HEALTHY:
            return observation
        return await self._check_references(observation, container)

    async def matches(self, spec: ComputeSpec) -> bool:
        """Return whether a container of Landlord's Go worker equals what ``spec`` creates."""
        containers, config = await self._find_containers(spec.tenant), self._read(spec.config)
        container = containers.current
        if container is None or container.config_hash or config.remove_volumes:
            return False
        body = build_body(spec, config, self.settings)
        return await is_equivalent(self._client, container, body)

    async def provision(self, spec: ComputeSpec) -> ComputeResult:
        """Create the tenant's container, or bring the existing one to ``spec``."""
        config = self._read(spec.config)
        # Only the first observation counts as fresh. Another worker that interferes is a sign that
        # this job may have ended, so the later attempts ask the backend before they change anything.
        begin_observation()
        for _ in range(_ATTEMPTS - 1):
            with suppress(NotFound, Conflict):
                return await self._reconcile(spec, config)
        return await self._reconcile(spec, config)

    async def update(self, spec: ComputeSpec) -> ComputeResult:
        """Replace the tenant's container by one of this configuration."""
        return await self.provision(spec)

    async def destroy(self, tenant: str, location: str) -> bool:  # noqa: ARG002  # as above
        """Remove all containers of the tenant, then its volumes if the configuration says so."""
        existed = False
        begin_observation()
        for _ in range(_ATTEMPTS):
            containers = await self._find_containers(tenant)
            if not containers.all:
                return await remove_noted_volumes(self._client, tenant) or existed
            existed = True
            for container in containers.all:
                await self._remove(container, tenant)
        raise ComputeUnavailable("new containers of the tenant appear while they are removed")

    @property
    def longest_carry(self) -> float:
        """Seconds for the request in flight, and for a stop and a start to switch back."""
        return longest_carry(self.settings)

    @property
    def longest_switch(self) -> float:
        """Seconds for the wait for health, and for a stop in each direction."""
        # A daemon usually answers all other requests immediately.
        return self.settings.health_timeout + 2 * self.settings.stop_timeout

    async def restore(self, tenant: str, location: str) -> bool:  # noqa: ARG002  # as above
        """Complete an interrupted update, and start a container that was stopped from outside."""
        begin_observation()
        restoration = Restoration(
            client=self._client,
            settings=self.settings,
            observed=await self._find_containers(tenant),
            name=current_name(self.settings.label_prefix, tenant),
            reached=self.reached,
        )
        return await restoration.run()

    async def aclose(self) -> None:
        """Close the connections to the daemon."""
        await self._client.aclose()

    async def _reconcile(self, spec: ComputeSpec, config: ContainerConfig) -> ComputeResult:
        reconciliation = Reconciliation(
            client=self._client,
            settings=self.settings,
            observed=await self._find_containers(spec.tenant),
            spec=spec,
            config=config,
            reached=self.reached,
        )
        return await reconciliation.run()

    def _read(self, config: Mapping[str, object]) -> ContainerConfig:
        typed = read_config(config)
        check_policy(config, typed, self.settings.policy, self.settings.host)
        return typed

    async def _find_containers(self, tenant: str) -> TenantContainers:
        return await find_containers(self._client, self.settings.label_prefix, tenant)

    async def _judge_containers(
        self, containers: TenantContainers, container: Container, tenant: str
    ) -> Health:
        if containers.replacement is not None or containers.orphans:
            return Health(
                ResourceState.FAILED, "it has more than one container; an update is unfinished"
            )
        if container.name != current_name(self.settings.label_prefix, tenant):
            return Health(ResourceState.FAILED, "its container was renamed")
        if container.drift:
            return Health(ResourceState.FAILED, container.drift)
        return await check_health(container.raw, self.settings)

    async def _check_references(
        self, observation: Observation, container: Container
    ) -> Observation:
        if problem := await find_lost_reference(self._client, container):
            return attrs.evolve(observation, state=ResourceState.FAILED, detail=problem)
        if await has_outdated_image(self._client, container):
            # It serves. Without a hash the next job that applies the configuration replaces it.
            detail = "its image reference now names another image"
            return attrs.evolve(observation, config_hash="", detail=detail)
        return observation

    async def _remove(self, container: Container, tenant: str) -> None:
        try:
            await self._client.stop(container.id)
        except NotFound:
            return
        self.reached("delete:stopped")
        if container.removes_volumes:
            identity = identity_labels(self.settings.label_prefix, tenant)
            await note_volumes(self._client, container, identity)
        else:
            await forget_volumes(self._client, tenant)
        await remove(self._client, container)
        self.reached("delete:removed")
