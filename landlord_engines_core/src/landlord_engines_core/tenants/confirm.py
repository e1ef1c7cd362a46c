"""A job's work and its confirmation: one healthy resource with Landlord's newest configuration."""

from collections import OrderedDict
from datetime import UTC, datetime

import attrs

from landlord_engines_core.compute import ComputeSpec, Observation, ResourceState
from landlord_engines_core.errors import (
    ComputeUnavailable,
    LandlordUnavailable,
)
from landlord_engines_core.landlord import LandlordClient
from landlord_engines_core.logs import Logger, error_fields
from landlord_engines_core.models import (
    Job,
    Outcome,
    Placement,
    Record,
    config_hash,
)
from landlord_engines_core.resolution import Resolver
from landlord_engines_core.tenants.converge import Converger, unhealthy_error
from landlord_engines_core.tenants.results import Applied, Confirmed

__all__ = ["Confirmer", "now"]

_WANTED_STATES = ("provisioning", "updating", "ready")
"""States of a tenant in which Landlord wants a resource with the desired configuration."""

_MAX_UNCONFIRMED = 1000
"""Jobs that this process remembers until it has confirmed their work."""


def now() -> str:
    """Return the time as RFC 3339 text, in UTC."""
    return datetime.now(UTC).isoformat(timespec="milliseconds")


class _RolledBack(Exception):
    """An update was rolled back, and the previous resource serves again."""

    def __init__(self, applied: Applied) -> None:
        super().__init__(applied.rolled_back)
        self.applied = applied


@attrs.define
class _Work:
    """Work that this process did for a job and did not confirm yet.

    Attributes:
        applied: The result of the last apply.
        repaired: Hashes of the configurations that were applied again as a repair.
    """

    applied: Applied
    repaired: set[str] = attrs.field(factory=set)


@attrs.define(kw_only=True)
class Confirmer:
    """Does and confirms a job's work within one step. Every method may be repeated."""

    converger: Converger
    resolver: Resolver
    landlord: LandlordClient | None
    logger: Logger
    # By job. An attempt continues the work of the previous one: it watches a resource that is slow to
    # start, and does not replace it each time.
    _work: OrderedDict[str, _Work] = attrs.field(factory=OrderedDict, init=False)

    async def is_desired(self, tenant: str) -> bool | None:
        """Whether Landlord desires a resource for the tenant; ``None`` without Landlord's API.

        Raises:
            LandlordUnavailable: The API gives no usable answer.
        """
        if self.landlord is None:
            self.logger.warning(
                "without Landlord's API the time of dispatch decides about a delete"
            )
            return None
        landlord_tenant = await self.landlord.tenant(tenant, fresh=True)
        return landlord_tenant is not None and landlord_tenant.status in _WANTED_STATES

    async def remove(self, tenant: str, placements: tuple[Placement, ...]) -> Confirmed:
        """Destroy the tenant's resources at these locations, and wait until they are absent.

        Raises:
            ComputeUnavailable: A resource is still present.
        """
        applied = await self.converger.destroy(tenant, placements)
        await self.converger.wait_removed(tenant, applied.removed)
        return Confirmed(ended_at=now(), applied=applied)

    async def provide(
        self, job: Job, execution_id: str, record: Record, placement: Placement
    ) -> Confirmed:
        """Apply the job's configuration, or Landlord's newer one, and wait for health.

        The result says if the update was rolled back.

        Raises:
            ComputeRefused: The engine, a policy or the target refuses the configuration.
            ComputeUnavailable: The resource is not healthy yet, or a previous one is still present.
        """
        try:
            confirmed = await self._apply_and_confirm(job, execution_id, record, placement)
        except _RolledBack as rolled_back:
            confirmed = Confirmed(ended_at=now(), applied=rolled_back.applied)
        self._work.pop(execution_id, None)
        return confirmed

    async def _apply_and_confirm(
        self, job: Job, execution_id: str, record: Record, placement: Placement
    ) -> Confirmed:
        work = self._work.get(execution_id)
        if work is None:
            spec = await self.resolver.spec(job, placement)
            work = self._remember(execution_id, await self._apply(placement, spec))
        await self._wait_or_repair(job, work, placement)
        detail = await self._apply_newer(job, work, placement)
        applied = work.applied
        current = applied.placement or placement
        # Previous placements are cleared last: they serve the tenant until the new resource is healthy.
        destroyed = await self.converger.destroy(
            job.tenant, [location for location in record.placements if location != current]
        )
        await self.converger.wait_removed(job.tenant, destroyed.removed)
        return Confirmed(
            ended_at=now(), applied=attrs.evolve(applied, removed=destroyed.removed), detail=detail
        )

    def _remember(self, execution_id: str, applied: Applied) -> _Work:
        work = self._work[execution_id] = _Work(applied)
        while len(self._work) > _MAX_UNCONFIRMED:
            self._work.popitem(last=False)
        return work

    async def _apply(self, placement: Placement, spec: ComputeSpec) -> Applied:
        applied = await self.converger.apply(placement.engine, spec)
        if applied.rolled_back:
            raise _RolledBack(applied)
        return applied

    async def _wait_or_repair(self, job: Job, work: _Work, placement: Placement) -> None:
        """Wait for health. Repair a resource once if it is missing, failed or another job's.

        Raises:
            ComputeUnavailable: The resource is not healthy, even after a repair.
        """
        observed = await self.converger.wait_started(job.tenant, placement)
        # `Converger.apply` has just compared a resource without a hash by its configuration.
        has_config = observed.config_hash == work.applied.config_hash or (
            not observed.config_hash and work.applied.outcome is Outcome.UNCHANGED
        )
        if observed.state is ResourceState.HEALTHY and has_config:
            return
        if observed.state is ResourceState.STARTING:
            raise unhealthy_error(placement, observed)
        spec = await self._newest_spec(job, placement)
        if observed.state is ResourceState.HEALTHY and observed.config_hash == spec.config_hash:
            work.applied = attrs.evolve(work.applied, config_hash=spec.config_hash)
            return
        await self._repair(work, placement, spec, observed)

    async def _repair(
        self, work: _Work, placement: Placement, spec: ComputeSpec, observed: Observation
    ) -> None:
        # A second repair at each attempt would replace a resource that only starts slowly.
        was_repaired = spec.config_hash in work.repaired
        if was_repaired and observed.state is ResourceState.FAILED:
            raise unhealthy_error(placement, observed)
        work.repaired.add(spec.config_hash)
        self._add_result(work, await self._apply(placement, spec))
        await self._wait_present(spec.tenant, placement)

    async def _newest_spec(self, job: Job, placement: Placement) -> ComputeSpec:
        """Return the specification of Landlord's newer configuration, else of the job's."""
        try:
            newer = await self._read_newer(job, placement)
        except LandlordUnavailable as error:
            self.logger.warning("not asked for a newer configuration", **error_fields(error))
            newer = None
        return newer or await self.resolver.spec(job, placement)

    async def _wait_present(self, tenant: str, placement: Placement) -> None:
        observed = await self.converger.wait_healthy(tenant, placement)
        if observed.state is ResourceState.MISSING:
            raise ComputeUnavailable(
                f"the resource on {placement.engine} vanished after it was created"
            )

    async def _apply_newer(self, job: Job, work: _Work, placement: Placement) -> str:
        """Apply a configuration that Landlord received while the job ran.

        Returns:
            A detail for the history; empty if the configuration did not change.
        """
        # Landlord only stores a change that arrives while a job succeeds, and sends no job for it.
        try:
            newer = await self._read_newer(job, placement)
        except LandlordUnavailable as error:
            self.logger.warning("not asked for a newer configuration", **error_fields(error))
            return "Landlord's API could not be asked for a newer configuration"
        if newer is None:
            return ""
        if newer.config_hash != work.applied.config_hash:
            self._add_result(work, await self._apply(placement, newer))
            await self._wait_present(job.tenant, placement)
        return "a newer configuration was applied"

    def _add_result(self, work: _Work, later: Applied) -> None:
        """Merge a later result of the same job into the work."""
        before = work.applied
        unchanged = before.outcome == Outcome.UNCHANGED
        work.applied = attrs.evolve(
            later,
            outcome=later.outcome if unchanged else before.outcome,
            changes=(*before.changes, *later.changes),
        )

    async def _read_newer(self, job: Job, placement: Placement) -> ComputeSpec | None:
        """Read Landlord's configuration; ``None`` unless it is newer, and for this placement."""
        if self.landlord is None:
            return None
        tenant = await self.landlord.tenant(job.tenant, fresh=True)
        if tenant is None or tenant.status not in _WANTED_STATES:
            return None
        if config_hash(tenant.desired_config) == config_hash(job.desired_config):
            return None
        newer = attrs.evolve(job, desired_config=tenant.desired_config)
        if await self.resolver.placement_named_by(tenant, newer, placement) != placement:
            self.logger.warning("a newer configuration asks for another location and has to wait")
            return None
        return await self.resolver.spec(newer, placement)
