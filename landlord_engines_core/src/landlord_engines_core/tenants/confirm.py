"""Doing a job's work and making sure of it: healthy, what Landlord wants by now, and nowhere else."""

from collections import OrderedDict
from datetime import UTC, datetime

import attrs

from landlord_engines_core.compute import ComputeSpec, Observation, ResourceState
from landlord_engines_core.errors import (
    ComputeUnavailable,
    LandlordUnavailable,
)
from landlord_engines_core.landlord import LandlordClient
from landlord_engines_core.logs import Logger, told
from landlord_engines_core.models import (
    Job,
    Outcome,
    Placement,
    Record,
    config_hash,
)
from landlord_engines_core.resolution import Resolver
from landlord_engines_core.tenants.converge import Converger, unhealthy
from landlord_engines_core.tenants.results import Applied, Confirmed

__all__ = ["Confirmer", "now"]

_WANTED = ("provisioning", "updating", "ready")
"""The states in which Landlord wants a tenant's desired configuration to be in force."""

_REMEMBERED = 1000
"""How many jobs are remembered whose work was begun here and not confirmed."""


def now() -> str:
    """The time as RFC 3339 text, in UTC."""
    return datetime.now(UTC).isoformat(timespec="milliseconds")


class _RolledBack(Exception):
    """An update did not take; the former resource serves again."""

    def __init__(self, applied: Applied) -> None:
        super().__init__(applied.rolled_back)
        self.applied = applied


@attrs.define
class _Work:
    """What this process did for a job whose work is not confirmed yet.

    Attributes:
        applied: What was applied last.
        repaired: The hashes of configurations that were applied again since their resource failed
            or was another's.
    """

    applied: Applied
    repaired: set[str] = attrs.field(factory=set)


@attrs.define(kw_only=True)
class Confirmer:
    """Does a job's work within one step. Everything it does may be done again."""

    converger: Converger
    resolver: Resolver
    landlord: LandlordClient | None
    logger: Logger
    _work: OrderedDict[str, _Work] = attrs.field(factory=OrderedDict, init=False)
    """By job. An attempt goes on from what the one before it did, so that a resource that is slow
    to come up is watched and not made anew each time."""

    async def is_wanted(self, tenant: str) -> bool | None:
        """Whether Landlord wants the tenant's resource; ``None`` without Landlord's API.

        Raises:
            LandlordUnavailable: The API gives no usable answer.
        """
        if self.landlord is None:
            self.logger.warning(
                "without Landlord's API the time of dispatch decides about a delete"
            )
            return None
        found = await self.landlord.tenant(tenant, fresh=True)
        return found is not None and found.status in _WANTED

    async def remove(self, tenant: str, placements: tuple[Placement, ...]) -> Confirmed:
        """Return once the tenant has no resource at these locations.

        Raises:
            ComputeUnavailable: One is not gone yet.
        """
        applied = await self.converger.destroy(tenant, placements)
        await self.converger.wait_removed(tenant, applied.removed)
        return Confirmed(ended_at=now(), applied=applied)

    async def bring(
        self, job: Job, execution_id: str, record: Record, placement: Placement
    ) -> Confirmed:
        """Return once the tenant has what the job, or Landlord by now, wants, or it was rolled back.

        Raises:
            ComputeRefused: Something refuses the configuration.
            ComputeUnavailable: The resource is not healthy yet, or a former one is not gone yet.
        """
        try:
            confirmed = await self._brought(job, execution_id, record, placement)
        except _RolledBack as rolled_back:
            confirmed = Confirmed(ended_at=now(), applied=rolled_back.applied)
        self._work.pop(execution_id, None)
        return confirmed

    async def _brought(
        self, job: Job, execution_id: str, record: Record, placement: Placement
    ) -> Confirmed:
        work = self._work.get(execution_id)
        if work is None:
            spec = await self.resolver.spec(job, placement)
            work = self._begun(execution_id, await self._applied(placement, spec))
        await self._healthy(job, work, placement)
        detail = await self._newest(job, work, placement)
        applied = work.applied
        held = applied.placement or placement
        left = await self.converger.destroy(
            job.tenant, [location for location in record.placements if location != held]
        )
        await self.converger.wait_removed(job.tenant, left.removed)
        return Confirmed(
            ended_at=now(), applied=attrs.evolve(applied, removed=left.removed), detail=detail
        )

    def _begun(self, execution_id: str, applied: Applied) -> _Work:
        work = self._work[execution_id] = _Work(applied)
        while len(self._work) > _REMEMBERED:
            self._work.popitem(last=False)
        return work

    async def _applied(self, placement: Placement, spec: ComputeSpec) -> Applied:
        applied = await self.converger.apply(placement.engine, spec)
        if applied.rolled_back:
            raise _RolledBack(applied)
        return applied

    async def _healthy(self, job: Job, work: _Work, placement: Placement) -> None:
        """Wait for health; what is missing, has failed or is another job's is put right.

        What fails once more is only watched: put right at every look, a resource that is slow to
        come up never would.
        """
        observed = await self.converger.wait_started(job.tenant, placement)
        right = work.applied.config_hash
        # What has no hash was compared by itself, just before.
        same = observed.config_hash == right or (
            not observed.config_hash and work.applied.outcome is Outcome.UNCHANGED
        )
        if observed.state is ResourceState.HEALTHY and same:
            return
        if observed.state is ResourceState.STARTING:
            raise unhealthy(placement, observed)
        wanted = await self._wanted(job, placement)
        if observed.state is ResourceState.HEALTHY and observed.config_hash == wanted.config_hash:
            work.applied = attrs.evolve(work.applied, config_hash=wanted.config_hash)
            return
        await self._repair(work, placement, wanted, observed)

    async def _repair(
        self, work: _Work, placement: Placement, wanted: ComputeSpec, observed: Observation
    ) -> None:
        tried = wanted.config_hash in work.repaired
        if tried and observed.state is ResourceState.FAILED:
            raise unhealthy(placement, observed)
        work.repaired.add(wanted.config_hash)
        self._follow(work, await self._applied(placement, wanted))
        await self._there(wanted.tenant, placement)

    async def _wanted(self, job: Job, placement: Placement) -> ComputeSpec:
        """What Landlord wants there by now, or else what the job does."""
        try:
            newer = await self._newer(job, placement)
        except LandlordUnavailable as error:
            self.logger.warning("not asked for a newer configuration", **told(error))
            newer = None
        return newer or await self.resolver.spec(job, placement)

    async def _there(self, tenant: str, placement: Placement) -> None:
        observed = await self.converger.wait_healthy(tenant, placement)
        if observed.state is ResourceState.MISSING:
            raise ComputeUnavailable(
                f"the resource on {placement.engine} vanished once it was made"
            )

    async def _newest(self, job: Job, work: _Work, placement: Placement) -> str:
        """Apply what Landlord was told while the job ran; it would never send it by itself.

        Returns:
            What is to be said of it in the history, if anything.
        """
        try:
            newer = await self._newer(job, placement)
        except LandlordUnavailable as error:
            self.logger.warning("not asked for a newer configuration", **told(error))
            return "Landlord's API could not be asked for a newer configuration"
        if newer is None:
            return ""
        if newer.config_hash != work.applied.config_hash:
            self._follow(work, await self._applied(placement, newer))
            await self._there(job.tenant, placement)
        return "a newer configuration was applied"

    def _follow(self, work: _Work, later: Applied) -> None:
        """Note what was applied after something else of the same job."""
        before = work.applied
        unchanged = before.outcome == Outcome.UNCHANGED
        work.applied = attrs.evolve(
            later,
            outcome=later.outcome if unchanged else before.outcome,
            changes=(*before.changes, *later.changes),
        )

    async def _newer(self, job: Job, placement: Placement) -> ComputeSpec | None:
        """What Landlord wants by now, if it is not what the job does, and wants it there."""
        if self.landlord is None:
            return None
        tenant = await self.landlord.tenant(job.tenant, fresh=True)
        if tenant is None or tenant.status not in _WANTED:
            return None
        if config_hash(tenant.desired_config) == config_hash(job.desired_config):
            return None
        newer = attrs.evolve(job, desired_config=tenant.desired_config)
        if await self.resolver.placement_named_by(tenant, newer, placement) != placement:
            self.logger.warning("a newer configuration asks for another location and has to wait")
            return None
        return await self.resolver.spec(newer, placement)
