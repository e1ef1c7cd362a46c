"""The compute engine ``docker``: each tenant has one container, found by its labels."""

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
from landlord_engines_core.compute.docker import names, policy, removal, volumes
from landlord_engines_core.compute.docker.adoption import is_as_wanted
from landlord_engines_core.compute.docker.answers import Conflict, NotFound
from landlord_engines_core.compute.docker.body import container_body
from landlord_engines_core.compute.docker.client import DockerClient
from landlord_engines_core.compute.docker.config import ContainerConfig, read
from landlord_engines_core.compute.docker.convergence import Convergence
from landlord_engines_core.compute.docker.found import Container, TenantContainers, find
from landlord_engines_core.compute.docker.health import Health, health_of
from landlord_engines_core.compute.docker.references import has_former_image, lost_reference
from landlord_engines_core.compute.docker.replacement import longest_carry
from landlord_engines_core.compute.docker.restoration import Restoration
from landlord_engines_core.compute.docker.schema import SCHEMA
from landlord_engines_core.compute.docker.settings import DockerSettings, read_section
from landlord_engines_core.compute.in_flight import observing
from landlord_engines_core.compute.points import Failpoint, pass_by
from landlord_engines_core.errors import ComputeUnavailable

__all__ = ["DockerCompute", "from_settings"]

_LOOKS = 8
"""How often an act begins anew because somebody else acted on the tenant meanwhile."""


@attrs.frozen(kw_only=True)
class DockerCompute(ComputeEngine):
    """Gives each tenant one container; all that it knows is on the engine.

    Attributes:
        settings: The operator's settings.
        defaults: The lowest layer of tenants' configurations.
        reached: Told each point inside an act.
    """

    settings: DockerSettings
    defaults: Mapping[str, object] = attrs.field(factory=dict, repr=False)
    reached: Failpoint = pass_by
    name: str = attrs.field(default="docker", init=False)
    single_location: ClassVar[bool] = True
    _client: DockerClient = attrs.field(init=False, repr=False)

    @_client.default
    def _make_client(self) -> DockerClient:
        return DockerClient(self.settings)

    def config_schema(self) -> Mapping[str, object]:
        """Landlord's own schema, and what only we know."""
        return SCHEMA

    def config_defaults(self) -> Mapping[str, object]:
        """The keys of the section that are not the operator's."""
        return self.defaults

    def validate(self, config: Mapping[str, object]) -> None:
        """Check form and policy."""
        self._read(config)

    def validate_defaults(self) -> None:
        """Check form and policy, whatever image a tenant may name."""
        self._read({**self.defaults, "image": self.defaults.get("image") or "image"})

    def location(self, config: Mapping[str, object]) -> str:  # noqa: ARG002  # the contract's signature
        """There is one location: the engine."""
        return ""

    async def reach(self) -> str:
        """Ask the daemon for its version."""
        return await self._client.version()

    async def inspect(self, tenant: str, location: str) -> Observation:  # noqa: ARG002  # as above
        """Look at the tenant's containers."""
        found = await self._find(tenant)
        container = found.current or found.replacement
        if container is None:
            return Observation(state=ResourceState.MISSING)
        health = await self._health(found, container, tenant)
        observed = Observation(
            state=health.state,
            config_hash=container.config_hash,
            key_hashes=container.key_hashes,
            resource_ids=container.resource_ids,
            detail=health.detail,
        )
        if health.state is not ResourceState.HEALTHY:
            return observed
        return await self._compared(observed, container)

    async def matches(self, spec: ComputeSpec) -> bool:
        """Whether the container that Landlord's own worker made is what ``spec`` would make."""
        found, config = await self._find(spec.tenant), self._read(spec.config)
        container = found.current
        if container is None or container.config_hash or config.remove_volumes:
            return False
        body = container_body(spec, config, self.settings)
        return await is_as_wanted(self._client, container, body)

    async def provision(self, spec: ComputeSpec) -> ComputeResult:
        """Make the tenant's container; one that is there is brought to ``spec``."""
        config = self._read(spec.config)
        # Only the first look counts as fresh: where somebody interferes, the job itself may be over.
        observing()
        for _ in range(_LOOKS - 1):
            with suppress(NotFound, Conflict):
                return await self._converge(spec, config)
        return await self._converge(spec, config)

    async def update(self, spec: ComputeSpec) -> ComputeResult:
        """Put a container of this configuration in the place of the tenant's present one."""
        return await self.provision(spec)

    async def destroy(self, tenant: str, location: str) -> bool:  # noqa: ARG002  # as above
        """Stop and remove all of the tenant's containers, and return once none is there.

        Their volumes go then, where that was asked for.
        """
        existed = False
        observing()
        for _ in range(_LOOKS):
            found = await self._find(tenant)
            if not found.all:
                return await volumes.remove_noted(self._client, tenant) or existed
            existed = True
            for container in found.all:
                await self._remove(container, tenant)
        raise ComputeUnavailable("containers of the tenant appear as they are removed")

    @property
    def longest_carry(self) -> float:
        """The request on the wire, and of a switch's way back a stop and a start."""
        return longest_carry(self.settings)

    @property
    def longest_switch(self) -> float:
        """The wait for health, and a stop on either way; requests are answered at once, as a rule."""
        return self.settings.health_timeout + 2 * self.settings.stop_timeout

    async def restore(self, tenant: str, location: str) -> bool:  # noqa: ARG002  # as above
        """End an update that was cut, and start a container that was stopped from outside."""
        observing()
        restoration = Restoration(
            client=self._client,
            settings=self.settings,
            found=await self._find(tenant),
            name=names.current_name(self.settings.label_prefix, tenant),
            reached=self.reached,
        )
        return await restoration.run()

    async def aclose(self) -> None:
        """Close the connections to the engine."""
        await self._client.aclose()

    async def _converge(self, spec: ComputeSpec, config: ContainerConfig) -> ComputeResult:
        convergence = Convergence(
            client=self._client,
            settings=self.settings,
            found=await self._find(spec.tenant),
            spec=spec,
            config=config,
            reached=self.reached,
        )
        return await convergence.run()

    def _read(self, config: Mapping[str, object]) -> ContainerConfig:
        typed = read(config)
        policy.check(config, typed, self.settings.policy, self.settings.host)
        return typed

    async def _find(self, tenant: str) -> TenantContainers:
        return await find(self._client, self.settings.label_prefix, tenant)

    async def _health(self, found: TenantContainers, container: Container, tenant: str) -> Health:
        if found.replacement is not None or found.orphans:
            return Health(ResourceState.FAILED, "there is more than one, or one half in its place")
        if container.name != names.current_name(self.settings.label_prefix, tenant):
            return Health(ResourceState.FAILED, "it does not have its name")
        if drift := container.drift():
            return Health(ResourceState.FAILED, drift)
        return await health_of(container.shown, self.settings)

    async def _compared(self, observed: Observation, container: Container) -> Observation:
        """Tell of a healthy container whether what it names is still what it has."""
        if problem := await lost_reference(self._client, container):
            return attrs.evolve(observed, state=ResourceState.FAILED, detail=problem)
        if await has_former_image(self._client, container):
            # It serves; without a hash the next job that applies its configuration replaces it.
            detail = "the name of its image means another image by now"
            return attrs.evolve(observed, config_hash="", detail=detail)
        return observed

    async def _remove(self, container: Container, tenant: str) -> None:
        try:
            await self._client.stop(container.id)
        except NotFound:
            return
        self.reached("delete:stopped")
        if container.takes_volumes_along:
            identity = names.identity(self.settings.label_prefix, tenant)
            await volumes.note(self._client, container, identity)
        else:
            await volumes.forget_noted(self._client, tenant)
        await removal.remove(self._client, container)
        self.reached("delete:removed")


def from_settings(section: Mapping[str, object], *, reached: Failpoint = pass_by) -> DockerCompute:
    """Make the engine from its section, without reaching it.

    Raises:
        ComputeRefused: With the path of each bad key, never its value.
    """
    settings, defaults = read_section(section)
    return DockerCompute(settings=settings, defaults=defaults, reached=reached)
