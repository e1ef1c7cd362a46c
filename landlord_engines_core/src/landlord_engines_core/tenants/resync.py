"""The resync: some time after a job had the tenant's lock, Landlord's word is held against the target.

It closes what a job cannot: a configuration that came between the job's last look and Landlord's,
a request of a killed job that landed after a delete, what a killed job left half-made, and what was
changed behind everybody's back. It repairs and tells what it did.

It looks once early. Where an act of the tenant may still be alive then, it looks a last time when
none can be: later than the longest step, with what a cancellation waits for. Nothing follows on that.
"""

import attrs

from landlord_engines_core.compute import ComputeSpec, ResourceState, observing
from landlord_engines_core.errors import ComputeRefused
from landlord_engines_core.landlord import LandlordClient
from landlord_engines_core.logs import Logger
from landlord_engines_core.models import (
    CompletedJob,
    FollowUp,
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
from landlord_engines_core.tenants.results import Applied, Confirmed, ResyncCheck

__all__ = ["Resyncer"]

_LONGEST_PAUSE = 3600.0
"""Seconds between two looks at a tenant whose job still runs."""

_REFUSALS = (ComputeRefused, RecursionError)
"""What only another configuration helps against; the second is one that is nested too deeply."""


@attrs.frozen(kw_only=True)
class _Aim:
    """What is to be: ``spec`` at ``held``, where there is one, and nothing ``elsewhere``."""

    spec: ComputeSpec | None = None
    placement: Placement | None = None
    elsewhere: tuple[Placement, ...] = ()


@attrs.frozen(kw_only=True)
class Resyncer:
    """Resyncs tenants. Everything it does may be done again.

    Attributes:
        converger: Acts on targets.
        resolver: Chooses engine, location and configuration.
        landlord: Landlord's API, where the worker has its address.
        first_look: Seconds after a job at which its tenant is looked at first.
        last_look: Seconds after that at which no act of the tenant can be alive any more.
    """

    converger: Converger
    resolver: Resolver
    landlord: LandlordClient | None
    logger: Logger
    first_look: float
    last_look: float

    def follow_up(self, ended: CompletedJob, found: ResyncCheck) -> FollowUp | None:
        """What is to follow on a look: another one while the job runs, and the last one."""
        if found.too_early:
            pause = min(self.first_look * 2.0 ** min(ended.put_off + 1, 20), _LONGEST_PAUSE)
            return FollowUp(after=pause, ended=attrs.evolve(ended, put_off=ended.put_off + 1))
        deleted = ended.operation == Operation.DELETE
        if ended.last or not (deleted or ended.preempted or found.killed):
            return None
        return FollowUp(after=self.last_look, ended=attrs.evolve(ended, last=True))

    async def check(self, ended: CompletedJob, record: Record) -> ResyncCheck:
        """Find out whether anything is to be repaired, and change nothing.

        A killed job is always repaired: what it left goes out of the record only with the lock.

        Raises:
            ComputeUnavailable: The target does not answer.
            LandlordUnavailable: Landlord's API gives no usable answer.
        """
        found = ResyncCheck(started_at=now(), killed=_was_killed(ended, record))
        try:
            aim = await self._aim(ended, record)
            due = found.killed or (aim is _UNKNOWN and _may_be_down(ended, record))
            due = due or not await self._is_true(ended.tenant, aim)
        except _REFUSALS:
            # It is met again with the lock, and goes into the history then.
            return attrs.evolve(found, needs_repair=True)
        return attrs.evolve(found, needs_repair=due, placement=aim.placement if due else None)

    async def repair(self, ended: CompletedJob, record: Record) -> Confirmed:
        """Look once more, and make true what is not.

        What is refused or rolled back is told and left alone: there is no job to hold with it, and
        Landlord sends one when the configuration changes.

        Raises:
            ComputeUnavailable: The target does not answer, or something is not gone yet.
            LandlordUnavailable: Landlord's API gives no usable answer.
        """
        try:
            aim = await self._aim(ended, record)
            applied, detail = await self._repaired(ended, record, aim)
        except _REFUSALS as error:
            applied, detail = Applied(outcome=Outcome.REFUSED), _told(error)
        log = self.logger.warning if detail else self.logger.info
        log("stable", outcome=str(applied.outcome), detail=detail)
        return Confirmed(ended_at=now(), applied=applied, detail=detail)

    async def _aim(self, ended: CompletedJob, record: Record) -> _Aim:
        """What is to be."""
        nothing = _Aim(elsewhere=_locations(record, ended))
        deleted = ended.operation == Operation.DELETE
        if self.landlord is None:
            return nothing if deleted else _UNKNOWN
        tenant = await self.landlord.tenant(ended.tenant, fresh=True)
        if tenant is None:
            # Without a delete before it, this is more likely another Landlord than a tenant's end.
            return nothing if deleted or ended.overrode_delete else _UNKNOWN
        if tenant.status == "archived":
            return nothing
        if tenant.status != "ready":
            return _UNKNOWN
        return await self._wanted(tenant, ended, record)

    async def _wanted(self, tenant: Tenant, ended: CompletedJob, record: Record) -> _Aim:
        """The configuration that Landlord takes for the one in force, at its location alone."""
        job = Job(
            tenant=ended.tenant,
            name=tenant.name,
            operation=Operation.RESYNC,
            desired_config=tenant.desired_config,
        )
        held = await self.resolver.placement_named_by(tenant, job, _last(record))
        spec = await self.resolver.spec(job, held)
        elsewhere = tuple(location for location in _locations(record, ended) if location != held)
        return _Aim(spec=spec, placement=held, elsewhere=elsewhere)

    async def _is_true(self, tenant: str, aim: _Aim) -> bool:
        """Whether the target is as it is to be; so it is where nobody says how."""
        if aim.spec is not None and aim.placement is not None:
            planned = await self.converger.plan(aim.placement.engine, aim.spec)
            if planned.action is not Action.NOTHING:
                return False
        return await self.converger.is_absent(tenant, aim.elsewhere)

    async def _repaired(
        self, ended: CompletedJob, record: Record, aim: _Aim
    ) -> tuple[Applied, str]:
        tenant = ended.tenant
        if aim is _UNKNOWN:
            applied = await self._restored(ended, record)
            await self._check_last(ended, record)
            return applied, ""
        if aim.spec is None or aim.placement is None:
            return await self._destroy_and_wait(tenant, aim.elsewhere), ""
        if aim.placement not in record.placements:
            # What is made where no record leads would never be found again.
            raise ComputeRefused("another location is wanted by now than was written down")
        applied = await self.converger.apply(aim.placement.engine, aim.spec)
        if applied.rolled_back:
            return applied, applied.rolled_back
        if await self.converger.is_absent(tenant, aim.elsewhere):
            return attrs.evolve(applied, removed=aim.elsewhere), ""
        # Only a move waits: what serves elsewhere goes once the new resource does.
        seen = await self.converger.wait_started(tenant, aim.placement)
        if seen.state is not ResourceState.HEALTHY:
            return applied, f"it is {seen.state} on {aim.placement.engine}, and stays elsewhere too"
        left = await self._destroy_and_wait(tenant, aim.elsewhere)
        unchanged = applied.outcome == Outcome.UNCHANGED
        outcome = left.outcome if unchanged else applied.outcome
        return attrs.evolve(applied, outcome=outcome, removed=left.removed), ""

    async def _restored(self, ended: CompletedJob, record: Record) -> Applied:
        """Put back into service what a killed job left out of it, from what is on the target."""
        outcome = Outcome.UNCHANGED
        for placement in record.placements if _may_be_down(ended, record) else ():
            engine = self.converger.registry.engine(placement.engine)
            observing()
            if await engine.restore(ended.tenant, placement.location):
                outcome = Outcome.UPDATED
        return Applied(outcome=outcome)

    async def _check_last(self, ended: CompletedJob, record: Record) -> None:
        """Find what the job before had on the wire, and what landed after this job's end.

        The record keeps a configuration's hash alone: without Landlord's API nobody can put it right.

        Raises:
            ComputeRefused: The resource has another configuration than this job left it with.
        """
        if not ended.last:
            return
        for one in record.transitions:
            if (
                one.execution_id != ended.execution_id
                or one.placement is None
                or not one.config_hash
            ):
                continue
            seen = await self.converger.wait_started(ended.tenant, one.placement)
            if seen.config_hash not in ("", one.config_hash):
                raise ComputeRefused(
                    "a request of a job that gave way has landed after the last job: the resource on"
                    f" {one.placement.engine} has another configuration, and only Landlord knows the right"
                    " one; send the tenant's job again, and set worker.landlord_api_url"
                )

    async def _destroy_and_wait(self, tenant: str, locations: tuple[Placement, ...]) -> Applied:
        left = await self.converger.destroy(tenant, locations)
        await self.converger.wait_removed(tenant, left.removed)
        return left


_UNKNOWN = _Aim()
"""Nobody says what is to be: Landlord does not show the tenant at rest, or cannot be asked."""


def _was_killed(ended: CompletedJob, record: Record) -> bool:
    """Whether the job, which has ended, did not write its end down."""
    return not record.has_ended(ended.execution_id) and not ended.overrode_delete


def _may_be_down(ended: CompletedJob, record: Record) -> bool:
    """Whether a killed job may have left the tenant out of service, this one or the one before it.

    A stop that the one before had on the wire lands after this one found all as it wanted it. Only
    the last look tells: until then another worker may still carry a switch.
    """
    return ended.last and (ended.preempted or _was_killed(ended, record))


def _last(record: Record) -> Placement | None:
    return record.placements[-1] if record.placements else None


def _locations(record: Record, ended: CompletedJob) -> tuple[Placement, ...]:
    """Wherever the tenant has, had or may have got a resource."""
    return tuple(dict.fromkeys((*record.placements, *ended.removed)))


def _told(error: BaseException) -> str:
    if isinstance(error, ComputeRefused):
        return error.message
    return "the configuration is nested too deeply"
