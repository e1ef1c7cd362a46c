"""The resync: some time after a job, a tenant's target is compared with Landlord and repaired.

The backend keeps a record of each tenant: its placements and its last transitions. A resync covers
what no job can:

- a configuration that Landlord received after the job's last read and before it saw the job's end;
- a request of a killed job that landed after a delete;
- work that a killed job left half done;
- a change from outside.

The first check comes early. A last one follows if a request of a job may still be in flight. It
comes later than the longest step and the longest request.
"""

import attrs

from landlord_engines_core.compute import ComputeSpec, ResourceState, begin_observation
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
"""Seconds between two checks of a tenant whose job still runs."""

_REFUSALS = (ComputeRefused, RecursionError)
"""Errors that last until the configuration changes. A deeply nested one raises RecursionError."""


@attrs.frozen(kw_only=True)
class _Desired:
    """Desired state: ``spec`` at ``placement``, if there is one, and nothing ``elsewhere``."""

    spec: ComputeSpec | None = None
    placement: Placement | None = None
    elsewhere: tuple[Placement, ...] = ()


@attrs.frozen(kw_only=True)
class Resyncer:
    """Compares and repairs tenants. Every method may be repeated.

    Attributes:
        converger: Acts on targets.
        resolver: Chooses engine, location and configuration.
        landlord: Client of Landlord's API; ``None`` if its URL is not configured.
        logger: Receives the result of each repair.
        first_check: Seconds from a job to the first check of its tenant.
        last_check: Seconds from there until no request of a job can be in flight.
    """

    converger: Converger
    resolver: Resolver
    landlord: LandlordClient | None
    logger: Logger
    first_check: float
    last_check: float

    def follow_up(self, ended: CompletedJob, check: ResyncCheck) -> FollowUp | None:
        """Choose the next check: another one while the job runs, else the last one if it is needed."""
        if check.too_early:
            # The exponent is capped: a job that runs for weeks must not overflow a float.
            pause = min(self.first_check * 2.0 ** min(ended.put_off + 1, 20), _LONGEST_PAUSE)
            return FollowUp(after=pause, ended=attrs.evolve(ended, put_off=ended.put_off + 1))
        deleted = ended.operation == Operation.DELETE
        if ended.last or not (deleted or ended.preempted or check.killed):
            return None
        return FollowUp(after=self.last_check, ended=attrs.evolve(ended, last=True))

    async def check(self, ended: CompletedJob, record: Record) -> ResyncCheck:
        """Find out whether the tenant needs a repair, and change nothing.

        Raises:
            ComputeUnavailable: The target does not answer.
            LandlordUnavailable: Landlord's API gives no usable answer.
        """
        result = ResyncCheck(started_at=now(), killed=_was_killed(ended, record))
        try:
            desired = await self._read_desired(ended, record)
            # Always after a killed job: its start stays in the record until a repair acquires the lock.
            needs_repair = result.killed or (desired is _UNKNOWN and _may_be_down(ended, record))
            needs_repair = needs_repair or not await self._is_converged(ended.tenant, desired)
        except _REFUSALS:
            # The repair meets the refusal again, with the lock, and records it in the history.
            return attrs.evolve(result, needs_repair=True)
        placement = desired.placement if needs_repair else None
        return attrs.evolve(result, needs_repair=needs_repair, placement=placement)

    async def repair(self, ended: CompletedJob, record: Record) -> Confirmed:
        """Compare once more, and repair what differs.

        A refused or rolled-back configuration is recorded in the history: a resync has no job to hold.
        Landlord sends a job when the configuration changes.

        Raises:
            ComputeUnavailable: The target does not answer, or a resource is still present.
            LandlordUnavailable: Landlord's API gives no usable answer.
        """
        try:
            desired = await self._read_desired(ended, record)
            applied, detail = await self._converge(ended, record, desired)
        except _REFUSALS as error:
            applied, detail = Applied(outcome=Outcome.REFUSED), _reason(error)
        log = self.logger.warning if detail else self.logger.info
        log("stable", outcome=str(applied.outcome), detail=detail)
        return Confirmed(ended_at=now(), applied=applied, detail=detail)

    async def _read_desired(self, ended: CompletedJob, record: Record) -> _Desired:
        """Read the desired state from Landlord."""
        nothing = _Desired(elsewhere=_locations(record, ended))
        deleted = ended.operation == Operation.DELETE
        if self.landlord is None:
            return nothing if deleted else _UNKNOWN
        tenant = await self.landlord.tenant(ended.tenant, fresh=True)
        if tenant is None:
            # Without a delete, a missing tenant more likely means another Landlord at this address.
            return nothing if deleted or ended.overrode_delete else _UNKNOWN
        if tenant.status == "archived":
            return nothing
        # In any other state Landlord has a job under way, or gave up: neither is a desired state.
        if tenant.status != "ready":
            return _UNKNOWN
        return await self._resolve_ready(tenant, ended, record)

    async def _resolve_ready(self, tenant: Tenant, ended: CompletedJob, record: Record) -> _Desired:
        """Resolve the configuration of a tenant that Landlord shows as ready."""
        job = Job(
            tenant=ended.tenant,
            name=tenant.name,
            operation=Operation.RESYNC,
            desired_config=tenant.desired_config,
        )
        placement = await self.resolver.placement_named_by(tenant, job, _last_placement(record))
        spec = await self.resolver.spec(job, placement)
        elsewhere = tuple(
            location for location in _locations(record, ended) if location != placement
        )
        return _Desired(spec=spec, placement=placement, elsewhere=elsewhere)

    async def _is_converged(self, tenant: str, desired: _Desired) -> bool:
        """Whether the target is in the desired state; an unknown desired state counts as reached."""
        if desired.spec is not None and desired.placement is not None:
            decision = await self.converger.plan(desired.placement.engine, desired.spec)
            if decision.action is not Action.NOTHING:
                return False
        return await self.converger.is_absent(tenant, desired.elsewhere)

    async def _converge(
        self, ended: CompletedJob, record: Record, desired: _Desired
    ) -> tuple[Applied, str]:
        tenant = ended.tenant
        if desired is _UNKNOWN:
            applied = await self._restore(ended, record)
            await self._check_last(ended, record)
            return applied, ""
        if desired.spec is None or desired.placement is None:
            return await self._destroy_and_wait(tenant, desired.elsewhere), ""
        if desired.placement not in record.placements:
            # A resource at a placement that no record names would never be found again.
            raise ComputeRefused(
                "the desired placement changed since it was recorded; nothing was done"
            )
        applied = await self.converger.apply(desired.placement.engine, desired.spec)
        if applied.rolled_back:
            return applied, applied.rolled_back
        if await self.converger.is_absent(tenant, desired.elsewhere):
            return attrs.evolve(applied, removed=desired.elsewhere), ""
        # A move to another placement: the previous resource serves until the new one is healthy.
        observed = await self.converger.wait_started(tenant, desired.placement)
        if observed.state is not ResourceState.HEALTHY:
            engine = desired.placement.engine
            return (
                applied,
                f"the resource on {engine} is {observed.state}; the previous one is kept",
            )
        destroyed = await self._destroy_and_wait(tenant, desired.elsewhere)
        unchanged = applied.outcome == Outcome.UNCHANGED
        outcome = destroyed.outcome if unchanged else applied.outcome
        return attrs.evolve(applied, outcome=outcome, removed=destroyed.removed), ""

    async def _restore(self, ended: CompletedJob, record: Record) -> Applied:
        """Restore service if a killed job left the tenant down, from resources on the target."""
        outcome = Outcome.UNCHANGED
        for placement in record.placements if _may_be_down(ended, record) else ():
            engine = self.converger.registry.engine(placement.engine)
            begin_observation()
            if await engine.restore(ended.tenant, placement.location):
                outcome = Outcome.UPDATED
        return Applied(outcome=outcome)

    async def _check_last(self, ended: CompletedJob, record: Record) -> None:
        """Detect a request of a preempted job that landed after this job's end.

        Raises:
            ComputeRefused: The resource has another configuration than this job left it with.
        """
        if not ended.last:
            return
        for transition in record.transitions:
            placement, config_hash = transition.placement, transition.config_hash
            is_this_job = transition.execution_id == ended.execution_id
            if not is_this_job or placement is None or not config_hash:
                continue
            observed = await self.converger.wait_started(ended.tenant, placement)
            if observed.config_hash not in ("", config_hash):
                # The record keeps only the hash: without Landlord's API there is nothing to apply.
                raise ComputeRefused(
                    f"a late request of a preempted job changed the resource on {placement.engine}"
                    " after the last job; send the tenant's job again, and set"
                    " worker.landlord_api_url"
                )

    async def _destroy_and_wait(self, tenant: str, locations: tuple[Placement, ...]) -> Applied:
        destroyed = await self.converger.destroy(tenant, locations)
        await self.converger.wait_removed(tenant, destroyed.removed)
        return destroyed


_UNKNOWN = _Desired()
"""No desired state: Landlord shows the tenant in transition, or its API is not configured."""


def _was_killed(ended: CompletedJob, record: Record) -> bool:
    """Whether the job ended without a transition in the record."""
    return not record.has_ended(ended.execution_id) and not ended.overrode_delete


def _may_be_down(ended: CompletedJob, record: Record) -> bool:
    """Whether this job or the previous one was killed and may have left the tenant down."""
    # A stop request of the previous job may land after this job confirmed its resource. Only the last
    # check can tell: until then another worker may still be in a switch.
    return ended.last and (ended.preempted or _was_killed(ended, record))


def _last_placement(record: Record) -> Placement | None:
    return record.placements[-1] if record.placements else None


def _locations(record: Record, ended: CompletedJob) -> tuple[Placement, ...]:
    """Collect the placements where the tenant has, had or may have a resource."""
    return tuple(dict.fromkeys((*record.placements, *ended.removed)))


def _reason(error: BaseException) -> str:
    if isinstance(error, ComputeRefused):
        return error.message
    return "the configuration is nested too deeply"
