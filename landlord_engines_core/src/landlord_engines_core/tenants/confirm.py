"""Making sure of a job's work: healthy, still what Landlord wants, and nowhere else."""

from collections import OrderedDict
from collections.abc import Awaitable, Callable
from datetime import UTC, datetime
from functools import partial

import attrs

from landlord_engines_core.compute import ComputeSpec, ResourceState
from landlord_engines_core.errors import (
    ComputeRefused,
    ComputeUnavailable,
    LandlordUnavailable,
)
from landlord_engines_core.landlord import LandlordClient
from landlord_engines_core.logs import Logger
from landlord_engines_core.models import (
    Job,
    Operation,
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
"""How many attempts to put something right are remembered, each for its job alone."""

Apply = Callable[[ComputeSpec], Awaitable[Applied]]


def now() -> str:
    """The time as RFC 3339 text, in UTC."""
    return datetime.now(UTC).isoformat(timespec="milliseconds")


@attrs.define(kw_only=True)
class Confirmer:
    """Confirms what `apply` did. Everything it does may be done again."""

    converger: Converger
    resolver: Resolver
    landlord: LandlordClient | None
    logger: Logger
    _tried: OrderedDict[tuple[str, str], str] = attrs.field(factory=OrderedDict, init=False)
    """What was applied here, by job and configuration: why it was rolled back, or nothing."""

    async def confirm(
        self, job: Job, execution_id: str, record: Record, applied: Applied
    ) -> Confirmed:
        """Return once the job's work is true.

        Raises:
            ComputeRefused: The update was rolled back, or something refuses the configuration.
            ComputeUnavailable: The resource is not healthy, or not gone, yet.
        """
        if job.operation is Operation.DELETE or applied.held is None:
            # A request of a killed job may have landed since; apply is not done again.
            await self.converger.destroy(job.tenant, applied.gone)
            await self.converger.gone(job.tenant, applied.gone)
            return Confirmed(ended_at=now(), applied=applied)
        _refuse_rolled_back(applied)
        held = await self._healthy(job, execution_id, applied, applied.held)
        apply = partial(self._apply, execution_id, held)
        applied, detail = await self._newest(job, attrs.evolve(applied, held=held), held, apply)
        elsewhere = [place for place in record.placements if place != held]
        left = await self.converger.destroy(job.tenant, elsewhere)
        await self.converger.gone(job.tenant, left.gone)
        return Confirmed(
            ended_at=now(), applied=attrs.evolve(applied, gone=left.gone), detail=detail
        )

    async def _healthy(
        self, job: Job, execution_id: str, applied: Applied, held: Placement
    ) -> Placement:
        """Wait for health; what vanished is made again, and what failed put right once in a job.

        What fails once more is only watched: put right at every look, a resource that is slow to
        come up never would.
        """
        observed = await self.converger.started(job.tenant, held)
        if observed.state is ResourceState.HEALTHY:
            if observed.config_hash != applied.config_hash:
                self._refuse_remembered(execution_id, applied.config_hash)
            return held
        key = (execution_id, applied.config_hash)
        tried = self._tried.get(key)
        if observed.state is ResourceState.STARTING or (
            tried is not None and observed.state is ResourceState.FAILED
        ):
            raise unhealthy(held, observed)
        _remember(self._tried, key, tried or "")
        again = await self._apply(execution_id, held, await self._wanted(job, held))
        return again.held or held

    async def _wanted(self, job: Job, held: Placement) -> ComputeSpec:
        """What Landlord wants there by now, or else what the job does."""
        if self.landlord is not None:
            try:
                newer = await self._newer(self.landlord, job, held)
            except LandlordUnavailable as error:
                self.logger.warning("not asked for a newer configuration", reason=str(error))
            else:
                return newer or await self.resolver.spec(job, held)
        return await self.resolver.spec(job, held)

    async def _there(self, tenant: str, held: Placement) -> None:
        observed = await self.converger.healthy(tenant, held)
        if observed.state is ResourceState.MISSING:
            raise ComputeUnavailable(f"the resource on {held.engine} vanished once it was made")

    async def _newest(
        self, job: Job, applied: Applied, held: Placement, apply: Apply
    ) -> tuple[Applied, str]:
        """Apply what Landlord was told while the job ran; it would never send it by itself."""
        if self.landlord is None:
            return applied, ""
        try:
            newer = await self._newer(self.landlord, job, held)
        except LandlordUnavailable as error:
            self.logger.warning("not asked for a newer configuration", reason=str(error))
            return applied, "Landlord's API could not be asked for a newer configuration"
        if newer is None:
            return applied, ""
        later = await apply(newer)
        unchanged = applied.outcome == Outcome.UNCHANGED
        return attrs.evolve(
            later,
            outcome=later.outcome if unchanged else applied.outcome,
            changes=(*applied.changes, *later.changes),
        ), "a newer configuration was applied"

    async def _newer(
        self, landlord: LandlordClient, job: Job, held: Placement
    ) -> ComputeSpec | None:
        tenant = await landlord.tenant(job.tenant, fresh=True)
        if tenant is None or tenant.status not in _WANTED:
            return None
        if config_hash(tenant.desired_config) == config_hash(job.desired_config):
            return None
        newer = attrs.evolve(job, desired_config=tenant.desired_config)
        placement = await self.resolver.placement_named_by(tenant, newer, held)
        if placement != held:
            self.logger.warning("a newer configuration asks for another place and has to wait")
            return None
        return await self.resolver.spec(newer, held)

    async def _apply(self, execution_id: str, held: Placement, spec: ComputeSpec) -> Applied:
        """Apply within this step, which is entered again: what was rolled back is not tried twice."""
        self._refuse_remembered(execution_id, spec.config_hash)
        applied = await self.converger.apply(held.engine, spec)
        if applied.rolled_back:
            _remember(self._tried, (execution_id, spec.config_hash), applied.rolled_back)
            self._refuse_remembered(execution_id, spec.config_hash)
        await self._there(spec.tenant, held)
        return applied

    def _refuse_remembered(self, execution_id: str, applied_hash: str) -> None:
        if reason := self._tried.get((execution_id, applied_hash)):
            raise ComputeRefused(
                f"the configuration was rolled back, the former resource serves: {reason}",
                hint="change the tenant's configuration",
            )


def _remember(tried: OrderedDict[tuple[str, str], str], key: tuple[str, str], reason: str) -> None:
    tried[key] = reason
    while len(tried) > _REMEMBERED:
        tried.popitem(last=False)


def _refuse_rolled_back(applied: Applied) -> None:
    if applied.rolled_back:
        raise ComputeRefused(
            f"the update was rolled back, the former resource serves: {applied.rolled_back}",
            hint="change the tenant's configuration",
        )
