"""The compute engine ``ecs``: one service on Amazon ECS for each tenant."""

from collections.abc import AsyncIterator, Mapping
from contextlib import AsyncExitStack, asynccontextmanager

import attrs

from landlord_engines_core.compute.contract import (
    ComputeEngine,
    ComputeResult,
    ComputeSpec,
    Observation,
    ResourceState,
)
from landlord_engines_core.compute.ecs.client import ServiceClient, is_absent
from landlord_engines_core.compute.ecs.config import SCHEMA, EcsConfig, read_config
from landlord_engines_core.compute.ecs.errors import translate_errors
from landlord_engines_core.compute.ecs.location import Location, location_of
from landlord_engines_core.compute.ecs.observe import observe_service, tags_of
from landlord_engines_core.compute.ecs.reconcile import Reconciliation
from landlord_engines_core.compute.ecs.sessions import LONGEST_CALL, Clients
from landlord_engines_core.compute.ecs.settings import EcsSettings, separate_external_id
from landlord_engines_core.compute.ecs.tags import belongs_to, is_of_location
from landlord_engines_core.compute.factory import (
    ComputeContext,
    ComputeLimits,
    TimeRequest,
    pass_untimed,
)
from landlord_engines_core.compute.in_flight import Failpoint, pass_by
from landlord_engines_core.errors import ComputeRefused

__all__ = ["EcsCompute", "create_ecs"]


@attrs.frozen(kw_only=True)
class EcsCompute(ComputeEngine):
    """One ECS service for each tenant.

    Attributes:
        settings: The operator's settings.
        defaults: The defaults for tenants' configurations.
        clients: The clients of ECS.
        reached: Called with the name of each failpoint.
        limits: The worker's limits.
        time_request: Times one call.
    """

    settings: EcsSettings
    defaults: Mapping[str, object] = attrs.field(repr=False)
    clients: Clients
    reached: Failpoint = pass_by
    limits: ComputeLimits = attrs.field(factory=ComputeLimits)
    time_request: TimeRequest = pass_untimed

    def config_schema(self) -> Mapping[str, object]:
        """Return the schema of Landlord's ECS provider, which allows other keys too."""
        return SCHEMA

    def config_defaults(self) -> Mapping[str, object]:
        """Return the section ``compute.ecs`` without the operator's keys."""
        return self.defaults

    def validate(self, config: Mapping[str, object]) -> None:
        """Check names and counts, and that a delete can find the tenant again.

        Raises:
            ComputeRefused: With the path of the bad key, never its value.
        """
        parsed = read_config(config)
        parsed.check()
        location_of(parsed)
        self._check_external_id(parsed)

    def location(self, config: Mapping[str, object]) -> str:
        """Return region, cluster, service and role.

        Raises:
            ComputeRefused: The configuration does not name one of them.
        """
        parsed = read_config(config)
        parsed.check()
        return str(location_of(parsed))

    async def reach(self) -> str:
        """Ask STS for the account of the worker's credentials, which needs no permission."""
        region = read_config(self.defaults).resolved_region
        with translate_errors():
            account = await self.clients.identity(region)
        return f"AWS account {account}"

    async def inspect(self, tenant: str, location: str) -> Observation:
        """Observe the tenant's service; another tenant's service counts as missing."""
        expected = Location.parse(location)
        async with self._service(tenant, expected) as client:
            service = await client.describe()
        if service is None or is_absent(service):
            return Observation(state=ResourceState.MISSING)
        tags = tags_of(service)
        if not (belongs_to(tenant, tags) and is_of_location(expected, tags)):
            return Observation(state=ResourceState.MISSING)
        return observe_service(service)

    async def provision(self, spec: ComputeSpec) -> ComputeResult:
        """Create the service, or bring the existing one to the specification."""
        location = Location.parse(spec.location)
        async with self._service(spec.tenant, location) as client:
            reconciliation = Reconciliation(
                client=client,
                spec=spec,
                config=read_config(spec.config),
                location=location,
                rollout_timeout=self._watch_timeout(),
                reached=self.reached,
            )
            return await reconciliation.run()

    async def update(self, spec: ComputeSpec) -> ComputeResult:
        """Bring the service to the specification, as `provision` does."""
        return await self.provision(spec)

    async def destroy(self, tenant: str, location: str) -> bool:
        """Delete the service. ECS then stops its tasks, and `inspect` reports it until they have ended."""
        if (await self.inspect(tenant, location)).state is ResourceState.MISSING:
            return False
        async with self._service(tenant, Location.parse(location)) as client:
            existed = await client.delete()
        self.reached("destroy:sent")
        return existed

    @property
    def longest_carry(self) -> float:
        """Seconds for a call in flight; ECS continues a rollout without the worker."""
        return LONGEST_CALL

    async def aclose(self) -> None:
        """Close the clients."""
        await self.clients.aclose()

    @asynccontextmanager
    async def _service(self, tenant: str, location: Location) -> AsyncIterator[ServiceClient]:
        async with AsyncExitStack() as stack:
            with translate_errors():
                ecs = await stack.enter_async_context(self.clients.ecs(location))
            yield ServiceClient(
                ecs=ecs,
                cluster=location.cluster,
                name=location.service_name(tenant),
                time_request=self.time_request,
            )

    def _watch_timeout(self) -> float:
        # An attempt that the worker cancels cannot say that the rollout continues.
        return min(self.settings.rollout_timeout, self.limits.step_timeout / 2)

    def _check_external_id(self, config: EcsConfig) -> None:
        role = config.assume_role
        if role is None or not role.external_id:
            return
        # The external id is a secret and thus not in the tenant's record. A delete finds the tenant
        # only if the operator's settings contain the same id.
        if self.settings.external_ids.get(role.role_arn) != role.external_id:
            raise ComputeRefused(
                "$.assume_role.external_id differs from compute.ecs.external_ids for this role",
                hint="set compute.ecs.external_ids: a delete needs it to find the service again",
            )


def create_ecs(context: ComputeContext) -> EcsCompute:
    """Create the engine.

    Raises:
        ComputeRefused: A default has a wrong type, or the defaults name one service for all tenants.
    """
    settings, defaults = separate_external_id(context.settings, context.defaults)
    clients = Clients(endpoint_url=settings.endpoint_url, external_ids=settings.external_ids)
    return EcsCompute(
        settings=settings,
        defaults=defaults,
        clients=clients,
        limits=context.limits,
        time_request=context.time_request,
    )
