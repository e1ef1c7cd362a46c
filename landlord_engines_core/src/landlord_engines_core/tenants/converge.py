"""Converging one tenant's resources: observe, plan, act. Every method may be repeated."""

from collections.abc import Iterable

import attrs

from landlord_engines_core.compute import (
    ComputeEngine,
    ComputeRegistry,
    ComputeResult,
    ComputeSpec,
    Observation,
    ResourceState,
    begin_observation,
)
from landlord_engines_core.errors import ComputeUnavailable
from landlord_engines_core.models import Outcome, Placement
from landlord_engines_core.retries import poll
from landlord_engines_core.tenants.plan import Action, Plan, decide
from landlord_engines_core.tenants.results import Applied

__all__ = ["Converger", "unhealthy_error"]


@attrs.frozen(kw_only=True)
class Converger:
    """Acts on targets, idempotently.

    Attributes:
        registry: The compute engines.
        health_timeout: Seconds for a resource to become healthy, or absent.
    """

    registry: ComputeRegistry
    health_timeout: float

    async def plan(self, engine: str, spec: ComputeSpec) -> Plan:
        """Plan, and change nothing."""
        return decide(spec, await _observe(self.registry.engine(engine), spec))

    async def apply(self, engine: str, spec: ComputeSpec) -> Applied:
        """Bring the tenant to ``spec`` on this engine, from any state."""
        compute = self.registry.engine(engine)
        begin_observation()
        # Each attempt observes anew: the previous one may have changed the target.
        observed = await _observe(compute, spec)
        decision = decide(spec, observed)
        if decision.action is Action.NOTHING:
            result = ComputeResult(resource_ids=observed.resource_ids)
            outcome = Outcome.UNCHANGED
        elif decision.action is Action.PROVISION:
            result = await compute.provision(spec)
            outcome = Outcome.CREATED
        else:
            result = await compute.update(spec)
            outcome = Outcome.ROLLED_BACK if result.rolled_back else Outcome.UPDATED
        return Applied(
            outcome=outcome,
            config_hash=spec.config_hash,
            changes=result.changes or decision.changes,
            placement=Placement(engine, spec.location, result.resource_ids),
            rolled_back=result.rolled_back,
        )

    async def destroy(self, tenant: str, placements: Iterable[Placement]) -> Applied:
        """Destroy the tenant's resources at all these locations.

        Raises:
            ComputeRefused: An engine that may have a resource is not on this worker.
        """
        existed = False
        removed: list[Placement] = []
        for placement in placements:
            compute = self.registry.engine(placement.engine)
            begin_observation()
            existed |= await compute.destroy(tenant, placement.location)
            removed.append(Placement(placement.engine, placement.location))
        outcome = Outcome.DELETED if existed else Outcome.ABSENT
        return Applied(outcome=outcome, removed=tuple(removed))

    async def is_absent(self, tenant: str, placements: Iterable[Placement]) -> bool:
        """Whether none of these locations has a resource of the tenant at this moment.

        Raises:
            ComputeRefused: An engine that may have a resource is not on this worker.
        """
        for placement in placements:
            compute = self.registry.engine(placement.engine)
            observed = await compute.inspect(tenant, placement.location)
            if observed.state is not ResourceState.MISSING:
                return False
        return True

    async def wait_started(self, tenant: str, placement: Placement) -> Observation:
        """Wait while the resource starts, and return its last observation."""
        return await self._watch(tenant, placement, ResourceState.STARTING)

    async def wait_healthy(self, tenant: str, placement: Placement) -> Observation:
        """Wait until the resource is healthy, or missing.

        Raises:
            ComputeUnavailable: The resource failed, or was not healthy in time.
        """
        observed = await self.wait_started(tenant, placement)
        if observed.state in (ResourceState.STARTING, ResourceState.FAILED):
            raise unhealthy_error(placement, observed)
        return observed

    async def wait_removed(self, tenant: str, placements: Iterable[Placement]) -> None:
        """Wait until none of these locations has a resource of the tenant.

        Raises:
            ComputeUnavailable: A location still has one.
        """
        present = (ResourceState.STARTING, ResourceState.HEALTHY, ResourceState.FAILED)
        for placement in placements:
            observed = await self._watch(tenant, placement, *present)
            if observed.state is not ResourceState.MISSING:
                raise ComputeUnavailable(f"the resource on {placement.engine} is still there")

    async def _watch(
        self, tenant: str, placement: Placement, *passing: ResourceState
    ) -> Observation:
        """Inspect again, at growing intervals, while the state is one of ``passing``."""
        engine = self.registry.engine(placement.engine)

        async def inspect() -> Observation:
            begin_observation()
            return await engine.inspect(tenant, placement.location)

        # From 50 ms, since a local process starts fast, to 2 s, since a cloud's API counts calls.
        return await poll(
            inspect,
            lambda observed: observed.state in passing,
            first=0.05,
            longest=2.0,
            within=self.health_timeout,
        )


async def _observe(compute: ComputeEngine, spec: ComputeSpec) -> Observation:
    """Inspect a tenant. A resource without a hash gets the hash of ``spec`` if it matches."""
    observed = await compute.inspect(spec.tenant, spec.location)
    is_there = observed.state in (ResourceState.HEALTHY, ResourceState.STARTING)
    if is_there and not observed.config_hash and await compute.matches(spec):
        return attrs.evolve(observed, config_hash=spec.config_hash)
    return observed


def unhealthy_error(placement: Placement, observed: Observation) -> ComputeUnavailable:
    """Make the error for a resource that is not healthy."""
    reason = f": {observed.detail}" if observed.detail else ""
    return ComputeUnavailable(
        f"the resource on {placement.engine} is {observed.state}, not healthy{reason}"
    )
