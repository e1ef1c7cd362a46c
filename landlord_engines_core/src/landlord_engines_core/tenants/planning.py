"""Plans for a tenant: the changes that an apply of Landlord's document would make."""

import asyncio

import attrs

from landlord_engines_core.errors import ComputeUnavailable, SettingsError
from landlord_engines_core.landlord import LandlordClient
from landlord_engines_core.models import Job, Operation, Placement, Record, Tenant
from landlord_engines_core.resolution import Resolver
from landlord_engines_core.tenants.converge import Converger
from landlord_engines_core.tenants.plan import Action

__all__ = ["DELETE", "TenantPlan", "TenantPlanner"]

DELETE = "delete"
"""Action of a plan for a tenant that Landlord archives."""

_ARCHIVED_STATES = ("archiving", "archived")
"""States of a tenant in which Landlord wants no resource."""


@attrs.frozen(kw_only=True)
class TenantPlan:
    """The difference between a tenant's target and Landlord's document.

    Attributes:
        action: A value of `Action`, or `DELETE`.
        name: The tenant's name; empty if Landlord does not know the tenant.
        status: The tenant's status in Landlord; empty if Landlord does not know the tenant.
        placement: Where the resource would be.
        changes: The changes of an update, by names of keys and never with values.
        removed: Where a resource would be destroyed.
    """

    action: str
    name: str = ""
    status: str = ""
    placement: Placement | None = None
    changes: tuple[str, ...] = ()
    removed: tuple[Placement, ...] = ()

    @property
    def is_empty(self) -> bool:
        """Whether an apply would change nothing."""
        return self.action == Action.NOTHING and not self.removed


@attrs.frozen(kw_only=True)
class TenantPlanner:
    """Plans for tenants, and changes nothing.

    Attributes:
        converger: Compares targets with configurations.
        resolver: Chooses engine, location and configuration.
        landlord: Landlord's API; ``None`` if its URL is not configured.
        step_timeout: Seconds that a plan may take.
    """

    converger: Converger
    resolver: Resolver
    landlord: LandlordClient | None
    step_timeout: float

    async def plan(self, tenant: str, record: Record) -> TenantPlan:
        """Plan for a tenant, given by its key.

        Raises:
            SettingsError: The URL of Landlord's API is not configured.
            ComputeRefused: An engine, or no engine of this worker, accepts the configuration.
            ComputeUnavailable: A target does not answer, or not in time.
            LandlordUnavailable: Landlord's API gives no usable answer.
        """
        if self.landlord is None:
            raise SettingsError(
                "a plan needs Landlord's API, and worker.landlord_api_url is not set",
                hint="set it to Landlord's URL, for example http://127.0.0.1:8080",
            )
        try:
            async with asyncio.timeout(self.step_timeout):
                return await self._compare(self.landlord, tenant, record)
        except TimeoutError as error:
            raise ComputeUnavailable(
                f"the plan was not ready within {self.step_timeout:g} s",
                hint="look whether the target answers, or raise worker.step_timeout",
            ) from error

    async def _compare(self, landlord: LandlordClient, tenant: str, record: Record) -> TenantPlan:
        document = await landlord.tenant(tenant, fresh=True)
        if document is None:
            return TenantPlan(action=Action.NOTHING)
        if document.status in _ARCHIVED_STATES:
            removed = await self._find_present(tenant, record.placements)
            action = DELETE if removed else Action.NOTHING
            return TenantPlan(
                action=action, name=document.name, status=document.status, removed=removed
            )
        return await self._plan_desired(tenant, document, record)

    async def _plan_desired(self, tenant: str, document: Tenant, record: Record) -> TenantPlan:
        job = Job(
            tenant=tenant,
            name=document.name,
            operation=Operation.PLAN,
            desired_config=document.desired_config,
        )
        last = record.placements[-1] if record.placements else None
        placement = await self.resolver.placement_named_by(document, job, last)
        spec = await self.resolver.spec(job, placement)
        decision = await self.converger.plan(placement.engine, spec)
        former = tuple(each for each in record.placements if each != placement)
        return TenantPlan(
            action=decision.action,
            name=document.name,
            status=document.status,
            placement=placement,
            changes=decision.changes,
            removed=await self._find_present(tenant, former),
        )

    async def _find_present(
        self, tenant: str, placements: tuple[Placement, ...]
    ) -> tuple[Placement, ...]:
        """List the placements where the tenant has a resource at this moment."""
        return tuple(
            [
                placement
                for placement in placements
                if not await self.converger.is_absent(tenant, (placement,))
            ]
        )
