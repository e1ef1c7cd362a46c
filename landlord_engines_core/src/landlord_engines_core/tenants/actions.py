"""The actions of a job's steps. Each may be repeated, and changes nothing twice.

The backend keeps a record of each tenant: its placements and its last transitions.
"""

from functools import partial

import attrs

from landlord_engines_core.compute import InFlightRequests
from landlord_engines_core.errors import ComputeRefused, LandlordUnavailable
from landlord_engines_core.logs import Logger
from landlord_engines_core.models import Job, Operation, Outcome, Placement, Record
from landlord_engines_core.resolution import Resolver
from landlord_engines_core.steps import Steps
from landlord_engines_core.tenants.confirm import Confirmer, now
from landlord_engines_core.tenants.converge import Converger
from landlord_engines_core.tenants.crash_loops import CrashLoops
from landlord_engines_core.tenants.results import Applied, Confirmed, Planned, Resolved

__all__ = ["JobActions"]

MAX_NAME_LENGTH = 100
"""Characters of a tenant's name that its record keeps; a name may be as long as a configuration."""


@attrs.frozen(kw_only=True)
class JobActions:
    """The actions of the steps ``resolve``, ``apply``, ``hold``, ``fail`` and ``plan``.

    Attributes:
        resolver: Chooses engine, location and configuration.
        converger: Compares a target with a configuration.
        confirmer: Does a job's work on its target.
        crash_loops: Remembers the attempts in which a job's worker died.
        in_flight: Requests to targets that previous steps left in flight.
        logger: Receives a line for each job that has done its work.
    """

    resolver: Resolver
    converger: Converger
    confirmer: Confirmer
    crash_loops: CrashLoops
    in_flight: InFlightRequests
    logger: Logger

    async def resolve(self, job: Job, steps: Steps) -> Resolved:
        """Choose the job's engine and location, and note the tenant's name for its record.

        Raises:
            ComputeRefused: The configuration names no engine of this worker.
            LandlordUnavailable: Landlord's API is needed, and gives no usable answer.
            Superseded: A younger job of the tenant has the lock.
        """
        resolved = await self._choose(job, steps)
        return attrs.evolve(resolved, name=job.name[:MAX_NAME_LENGTH])

    async def _choose(self, job: Job, steps: Steps) -> Resolved:
        if job.operation is Operation.DELETE:
            if job.unreadable:
                # The tenant's record may make them needless: `apply` asks only without one.
                return Resolved(started_at=now())
            candidates = await self.resolver.candidates(job)
            return Resolved(started_at=now(), candidates=candidates)
        read_record = partial(steps.read_record, job.tenant)
        try:
            placement = await self.resolver.placement(job, read_record)
        except (ComputeRefused, LandlordUnavailable):
            # A job that waits here has no lock, so no younger job cancels it. Reading the record
            # raises Superseded if a younger job has the lock.
            await read_record()
            raise
        return Resolved(started_at=now(), placement=placement)

    async def apply(
        self, job: Job, execution_id: str, resolved: Resolved, record: Record
    ) -> Confirmed:
        """Do the job's work on its target, and confirm it.

        Raises:
            ComputeError: The target or the engine refuses, or is unavailable.
        """
        # A late request of the tenant's previous job would undo this job's work.
        await self.in_flight.wait_ended(job.tenant)
        if resolved.placement is None:
            placements = await self._placements_to_clear(job, resolved, record)
            confirmed = await self.confirmer.remove(job.tenant, placements)
        else:
            confirmed = await self.confirmer.provide(job, execution_id, record, resolved.placement)
        self.logger.info("job completed", outcome=str(confirmed.applied.outcome))
        detail = self.crash_loops.add_lost_attempts(execution_id, confirmed.detail)
        return attrs.evolve(confirmed, detail=detail)

    async def hold(self, reason: str) -> Confirmed:
        """Refuse an update that was rolled back; typed as the step's result.

        Raises:
            ComputeRefused: Always.
        """
        raise ComputeRefused(
            f"the update was rolled back, the previous resource serves: {reason}",
            hint="change the tenant's configuration",
        )

    async def fail(self, reason: str) -> Confirmed:
        """Give the result of a job that ends without having done its work."""
        return Confirmed(ended_at=now(), applied=Applied(outcome=Outcome.REFUSED), detail=reason)

    async def plan(self, job: Job, resolved: Resolved) -> Planned:
        """Return what ``apply`` would do, and change nothing."""
        assert resolved.placement is not None, "only a delete has no placement"
        spec = await self.resolver.spec(job, resolved.placement)
        decision = await self.converger.plan(resolved.placement.engine, spec)
        return Planned(action=decision.action, changes=decision.changes)

    async def _placements_to_clear(
        self, job: Job, resolved: Resolved, record: Record
    ) -> tuple[Placement, ...]:
        placements = record.placements or resolved.candidates
        if placements or record.deleted:
            return placements
        return await self.resolver.candidates(job)
