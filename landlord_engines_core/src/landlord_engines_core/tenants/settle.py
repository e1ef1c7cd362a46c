"""Settling: some time after a job has ended, what Landlord says is held against what is there.

It closes what a job cannot: a configuration that came between the job's last look and Landlord's,
a request of a killed job that landed after a delete, and what was changed behind everybody's back.
It mends once and tells what it did; nothing follows on it, so that it cannot go round.
"""

import attrs

from landlord_engines_core.compute import ComputeSpec, ResourceState
from landlord_engines_core.errors import ComputeRefused
from landlord_engines_core.landlord import LandlordClient
from landlord_engines_core.logs import Logger
from landlord_engines_core.models import (
    Ended,
    Job,
    Operation,
    Outcome,
    Placement,
    Record,
    Tenant,
)
from landlord_engines_core.resolution import Resolver
from landlord_engines_core.tenants.confirm import now
from landlord_engines_core.tenants.converge import Converger
from landlord_engines_core.tenants.plan import Action
from landlord_engines_core.tenants.results import Applied, Confirmed, Settling

__all__ = ["Settler"]

_REFUSALS = (ComputeRefused, RecursionError)
"""What only another configuration helps against; the second is one that is nested too deeply."""


@attrs.frozen(kw_only=True)
class _Aim:
    """What is to be: ``spec`` at ``held``, where there is one, and nothing ``elsewhere``."""

    spec: ComputeSpec | None = None
    held: Placement | None = None
    elsewhere: tuple[Placement, ...] = ()


@attrs.frozen(kw_only=True)
class Settler:
    """Settles tenants. Everything it does may be done again."""

    converger: Converger
    resolver: Resolver
    landlord: LandlordClient | None
    logger: Logger

    @property
    def operations(self) -> tuple[Operation, ...]:
        """Those after whose end there is anything to find out."""
        if self.landlord is None:
            return (Operation.DELETE,)
        return (Operation.PROVISION, Operation.UPDATE, Operation.DELETE)

    async def look(self, ended: Ended, record: Record) -> Settling:
        """Find out whether anything is to be mended, and change nothing.

        Raises:
            ComputeUnavailable: The target does not answer.
            LandlordUnavailable: Landlord's API gives no usable answer.
        """
        started_at = now()
        try:
            aim = await self._aim(ended, record)
            if aim is None or await self._is_true(ended.tenant, aim):
                return Settling(started_at=started_at)
        except _REFUSALS:
            # It is met again with the turn, and goes into the history then.
            return Settling(started_at=started_at, due=True)
        return Settling(started_at=started_at, due=True, placement=aim.held)

    async def mend(self, ended: Ended, record: Record) -> Confirmed:
        """Look once more, and make true what is not.

        What is refused or rolled back is told and left alone: there is no job to hold with it, and
        Landlord sends one when the configuration changes.

        Raises:
            ComputeUnavailable: The target does not answer, or something is not gone yet.
            LandlordUnavailable: Landlord's API gives no usable answer.
        """
        try:
            aim = await self._aim(ended, record)
            applied, detail = await self._mended(ended.tenant, record, aim)
        except _REFUSALS as error:
            applied, detail = Applied(outcome=Outcome.REFUSED), _told(error)
        log = self.logger.warning if detail else self.logger.info
        log("settled", outcome=str(applied.outcome), detail=detail)
        return Confirmed(ended_at=now(), applied=applied, detail=detail)

    async def _aim(self, ended: Ended, record: Record) -> _Aim | None:
        """What is to be; ``None`` where that is not for settling to say."""
        nothing = _Aim(elsewhere=_places(record, ended))
        deleted = ended.operation == Operation.DELETE
        if self.landlord is None:
            return nothing if deleted else None
        tenant = await self.landlord.tenant(ended.tenant, fresh=True)
        if tenant is None:
            # Without a delete before it, this is more likely another Landlord than a tenant's end.
            return nothing if deleted else None
        if tenant.status == "archived":
            return nothing
        if tenant.status != "ready" or not record.placements:
            # Only the record knows where a tenant is of which Landlord does not say it.
            return None
        return await self._wanted(tenant, ended, record)

    async def _wanted(self, tenant: Tenant, ended: Ended, record: Record) -> _Aim:
        """The configuration that Landlord takes for the one in force, at its place alone."""
        job = Job(
            tenant=ended.tenant,
            name=tenant.name,
            operation=Operation.SETTLE,
            desired_config=tenant.desired_config,
        )
        held = await self.resolver.placement_named_by(tenant, job, record.placements[-1])
        spec = await self.resolver.spec(job, held)
        elsewhere = tuple(place for place in _places(record, ended) if place != held)
        return _Aim(spec=spec, held=held, elsewhere=elsewhere)

    async def _is_true(self, tenant: str, aim: _Aim) -> bool:
        if aim.spec is not None and aim.held is not None:
            planned = await self.converger.planned(aim.held.engine, aim.spec)
            if planned.action is not Action.NOTHING:
                return False
        return await self.converger.clear(tenant, aim.elsewhere)

    async def _mended(self, tenant: str, record: Record, aim: _Aim | None) -> tuple[Applied, str]:
        if aim is None:
            return Applied(outcome=Outcome.UNCHANGED), ""
        if aim.spec is None or aim.held is None:
            return await self._cleared(tenant, aim.elsewhere), ""
        if aim.held not in record.placements:
            # What is made where no record leads would never be found again.
            raise ComputeRefused("another place is wanted by now than was written down")
        applied = await self.converger.apply(aim.held.engine, aim.spec)
        if applied.rolled_back:
            return applied, applied.rolled_back
        if await self.converger.clear(tenant, aim.elsewhere):
            return attrs.evolve(applied, gone=aim.elsewhere), ""
        # Only a move waits: what serves elsewhere goes once the new resource does.
        seen = await self.converger.started(tenant, aim.held)
        if seen.state is not ResourceState.HEALTHY:
            return applied, f"it is {seen.state} on {aim.held.engine}, and stays elsewhere too"
        left = await self._cleared(tenant, aim.elsewhere)
        unchanged = applied.outcome == Outcome.UNCHANGED
        outcome = left.outcome if unchanged else applied.outcome
        return attrs.evolve(applied, outcome=outcome, gone=left.gone), ""

    async def _cleared(self, tenant: str, places: tuple[Placement, ...]) -> Applied:
        left = await self.converger.destroy(tenant, places)
        await self.converger.gone(tenant, left.gone)
        return left


def _places(record: Record, ended: Ended) -> tuple[Placement, ...]:
    """Wherever the tenant has, had or may have got a resource."""
    return tuple(dict.fromkeys((*record.placements, *ended.gone)))


def _told(error: BaseException) -> str:
    if isinstance(error, ComputeRefused):
        return error.message
    return "the configuration is nested too deeply"
