"""The compute engine `ecs`."""

from collections.abc import AsyncIterator, Mapping
from contextlib import AsyncExitStack, asynccontextmanager

import attrs

from landlord_engines_core import codec
from landlord_engines_core.compute.contract import (
    ComputeEngine,
    ComputeResult,
    ComputeSpec,
    Observation,
    ResourceState,
)
from landlord_engines_core.compute.ecs.act import ServiceUpdate
from landlord_engines_core.compute.ecs.clients import LONGEST_CALL, Clients
from landlord_engines_core.compute.ecs.config import SCHEMA, EcsConfig, read
from landlord_engines_core.compute.ecs.failures import translated
from landlord_engines_core.compute.ecs.location import Location, location_of
from landlord_engines_core.compute.ecs.service import observed, tags_of
from landlord_engines_core.compute.ecs.tags import belongs_to, is_of_location
from landlord_engines_core.compute.ecs.target import Target, gone
from landlord_engines_core.compute.points import Failpoint, pass_by
from landlord_engines_core.compute.unknown_keys import properties_of, unknown_keys
from landlord_engines_core.errors import ComputeRefused

__all__ = ["EcsCompute", "from_settings"]


@attrs.frozen(kw_only=True)
class _Operator:
    """The keys of ``compute.ecs`` that are not for tenants.

    Attributes:
        endpoint_url: Where AWS's services are, if not where AWS has them.
        external_ids: The external id that goes with a role, by the role's ARN.
        rollout_timeout: Seconds in which an update's rollout is watched in one attempt.
    """

    endpoint_url: str | None = None
    external_ids: Mapping[str, str] = attrs.field(factory=dict, repr=False)
    rollout_timeout: float = 60.0


@attrs.frozen(kw_only=True)
class EcsCompute(ComputeEngine):
    """Has a service for each tenant.

    Attributes:
        defaults: The lowest layer of every tenant's configuration.
        clients: The clients of ECS.
        external_ids: The external id that goes with a role, by the role's ARN.
        rollout_timeout: Seconds in which an update's rollout is watched in one attempt.
        reached: Told each point at which a target was changed.
    """

    defaults: Mapping[str, object] = attrs.field(repr=False)
    clients: Clients
    external_ids: Mapping[str, str] = attrs.field(repr=False)
    rollout_timeout: float
    reached: Failpoint = pass_by
    name: str = attrs.field(default="ecs", init=False)

    def config_schema(self) -> Mapping[str, object]:
        """As Landlord's own, which allows other keys too."""
        return SCHEMA

    def config_defaults(self) -> Mapping[str, object]:
        """The section ``compute.ecs`` without the operator's own keys."""
        return self.defaults

    def validate(self, config: Mapping[str, object]) -> None:
        """Check names, counts and that the tenant can be found again.

        Raises:
            ComputeRefused: With the path of the bad key, never its value.
        """
        wanted = read(config)
        wanted.check()
        location_of(wanted)
        self._check_external_id(wanted)

    def location(self, config: Mapping[str, object]) -> str:
        """Region, cluster, service and role.

        Raises:
            ComputeRefused: The configuration leaves one of them open.
        """
        wanted = read(config)
        wanted.check()
        return str(location_of(wanted))

    async def reach(self) -> str:
        """Ask STS whose credentials the worker has, which needs no permission."""
        known = read(self.defaults)
        with translated():
            account = await self.clients.identity(known.resolved_region)
        return f"AWS account {account}"

    async def inspect(self, tenant: str, location: str) -> Observation:
        """What ECS says of the service; that of somebody else is as good as missing."""
        where = Location.read(location)
        async with self._target(tenant, where) as target:
            service = await target.describe()
        if service is None or gone(service):
            return Observation(state=ResourceState.MISSING)
        tags = tags_of(service)
        if not (belongs_to(tenant, tags) and is_of_location(where, tags)):
            return Observation(state=ResourceState.MISSING)
        return observed(service)

    async def provision(self, spec: ComputeSpec) -> ComputeResult:
        """Make the service, or bring the one that is there to the specification."""
        location = Location.read(spec.location)
        async with self._target(spec.tenant, location) as target:
            act = ServiceUpdate(
                target=target,
                spec=spec,
                config=read(spec.config),
                location=location,
                rollout_timeout=self.rollout_timeout,
                reached=self.reached,
            )
            return await act.run()

    async def update(self, spec: ComputeSpec) -> ComputeResult:
        """As `provision`: both ask for the same state."""
        return await self.provision(spec)

    async def destroy(self, tenant: str, location: str) -> bool:
        """Delete the service; its tasks are stopped by ECS, which `inspect` shows until then."""
        if (await self.inspect(tenant, location)).state is ResourceState.MISSING:
            return False
        async with self._target(tenant, Location.read(location)) as target:
            existed = await target.delete()
        self.reached("destroy:sent")
        return existed

    @property
    def longest_carry(self) -> float:
        """The call on the wire; rollouts are ECS's own, so that there is no way back to carry."""
        return LONGEST_CALL

    async def aclose(self) -> None:
        """Close the clients."""
        await self.clients.aclose()

    @asynccontextmanager
    async def _target(self, tenant: str, location: Location) -> AsyncIterator[Target]:
        async with AsyncExitStack() as stack:
            with translated():
                client = await stack.enter_async_context(self.clients.ecs(location))
            yield Target(
                client=client, cluster=location.cluster, name=location.service_name(tenant)
            )

    def _check_external_id(self, config: EcsConfig) -> None:
        role = config.assume_role
        if role and role.external_id and self.external_ids.get(role.role_arn) != role.external_id:
            raise ComputeRefused(
                "$.assume_role.external_id is not the one that the worker has for this role",
                hint="set compute.ecs.external_ids: without it the tenant's service could not be"
                " found again to delete it",
            )


def from_settings(settings: Mapping[str, object]) -> EcsCompute:
    """Make the engine from ``compute.ecs``: the operator's keys and defaults for tenants.

    Raises:
        ComputeRefused: A key has a wrong type, or the defaults name one service for all tenants.
    """
    own = {field.name for field in attrs.fields(_Operator)}
    if problems := unknown_keys(settings, {*own, *properties_of(SCHEMA)}, "compute.ecs."):
        raise ComputeRefused("; ".join(problems))
    try:
        operator = codec.structure({key: settings[key] for key in own & settings.keys()}, _Operator)
    except codec.BadDocument as error:
        raise ComputeRefused(str(error)) from error
    defaults = {key: value for key, value in settings.items() if key not in own}
    known = read(defaults)
    known.check()
    if known.service_name:
        raise ComputeRefused(
            "$.service_name in the defaults would have all tenants share one service: set"
            " service_name_prefix instead"
        )
    external_ids = {**operator.external_ids}
    if (role := known.assume_role) is not None:
        # Maps merge: left there, it would go with whatever role a tenant names.
        session = {"session_name": role.session_name} if role.session_name else {}
        defaults["assume_role"] = {"role_arn": role.role_arn, **session}
        if role.external_id:
            external_ids[role.role_arn] = role.external_id
    return EcsCompute(
        defaults=defaults,
        clients=Clients(endpoint_url=operator.endpoint_url, external_ids=external_ids),
        external_ids=external_ids,
        rollout_timeout=operator.rollout_timeout,
    )
