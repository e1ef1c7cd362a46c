"""Jobs and resyncs of one worker, as a worker engine and the host use them."""

import attrs

from landlord_engines_core.compute import InFlightRequests
from landlord_engines_core.models import CompletedJob, ExecutionStatus, Resynced
from landlord_engines_core.steps import Steps
from landlord_engines_core.tenants.confirm import Confirmer
from landlord_engines_core.tenants.failures import Failures
from landlord_engines_core.tenants.planning import TenantPlanner
from landlord_engines_core.tenants.resync_run import ResyncRunner
from landlord_engines_core.tenants.run import JobRunner
from landlord_engines_core.tenants.slots import Slots

__all__ = ["TenantJobs"]


@attrs.frozen(kw_only=True)
class TenantJobs:
    """Jobs and resyncs of one worker.

    Attributes:
        jobs: Runs jobs.
        resyncs: Runs resyncs.
        planner: Plans for tenants.
        confirmer: Asks Landlord whether a tenant is wanted.
        failures: Translates the errors of Landlord's API.
        in_flight: Requests to targets that were sent and have not ended.
        slots: Limit how many steps change targets at once.
    """

    jobs: JobRunner
    resyncs: ResyncRunner
    planner: TenantPlanner
    confirmer: Confirmer
    failures: Failures
    in_flight: InFlightRequests
    slots: Slots

    async def run(self, body: bytes, steps: Steps) -> ExecutionStatus:
        """Carry out one job; see `JobRunner.run`."""
        return await self.jobs.run(body, steps)

    async def resync(self, ended: CompletedJob, steps: Steps) -> Resynced:
        """Resync one tenant; see `ResyncRunner.run`."""
        return await self.resyncs.run(ended, steps)

    async def is_desired(self, tenant: str) -> bool | None:
        """Whether Landlord desires a resource for the tenant; ``None`` without Landlord's API.

        Raises:
            Transient: Landlord's API gives no usable answer.
        """
        with self.failures.translate_errors("order"):
            return await self.confirmer.is_desired(tenant)

    def drain(self, deadline: float) -> None:
        """Start nothing that may leave a tenant out of service after ``deadline``, in the loop's time."""
        self.in_flight.drain(deadline)

    @property
    def cut(self) -> int:
        """Number of requests to targets that were cancelled before their end or are still in flight."""
        return self.in_flight.given_up + len(self.in_flight)

    async def wait_in_flight(self) -> None:
        """Wait until no request to a target is in flight, those of stopped jobs included."""
        await self.in_flight.wait_all_ended()
