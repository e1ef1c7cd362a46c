"""The order of a resync's steps, in a journal of fixed shape."""

import asyncio
from functools import partial

import attrs

from landlord_engines_core.compute import InFlightRequests
from landlord_engines_core.errors import StillRunning, Superseded, Transient
from landlord_engines_core.metrics import JobMetrics
from landlord_engines_core.models import CompletedJob, Job, JobStart, Operation, Record, Resynced
from landlord_engines_core.steps import Steps
from landlord_engines_core.tenants.answers import (
    answer_succeeded,
    answer_superseded,
    answer_unchanged,
    sum_up,
)
from landlord_engines_core.tenants.attempt import StepRunner
from landlord_engines_core.tenants.confirm import now
from landlord_engines_core.tenants.crash_loops import CrashLoops
from landlord_engines_core.tenants.results import Confirmed, ResyncCheck
from landlord_engines_core.tenants.resync import Resyncer
from landlord_engines_core.tenants.spans import end_trace
from landlord_engines_core.tracing import trace_job

__all__ = ["ResyncRunner"]


@attrs.frozen(kw_only=True)
class ResyncRunner:
    """Runs resyncs.

    Attributes:
        resyncer: Compares and repairs.
        step_runner: Runs each step within its bounds.
        crash_loops: Delays executions whose workers died repeatedly.
        in_flight: Requests to targets that previous steps left in flight.
        provider_type: Landlord's name of the workflow backend.
        metrics: Counts resyncs among the jobs.
        max_concurrent_checks: How many tenants are compared at once.
    """

    resyncer: Resyncer
    step_runner: StepRunner
    crash_loops: CrashLoops
    in_flight: InFlightRequests
    provider_type: str
    metrics: JobMetrics
    max_concurrent_checks: int
    _checks: asyncio.Semaphore = attrs.field(init=False)

    @_checks.default
    def _new_semaphore(self) -> asyncio.Semaphore:
        return asyncio.Semaphore(self.max_concurrent_checks)

    async def run(self, ended: CompletedJob, steps: Steps) -> Resynced:
        """Compare a tenant's resources with Landlord's desired state, and repair any difference.

        Args:
            ended: The job that had the tenant's lock last.
            steps: The backend's steps. Their ``acquire`` lets any job go first.

        Raises:
            Transient: The backend tries the resync again soon.
        """
        job = Job(tenant=ended.tenant, name="", operation=Operation.RESYNC)
        with trace_job(steps.execution_id) as trace:
            lost = await steps.lost_attempts()
            with (
                self.crash_loops.attempt(steps.execution_id, lost, lambda: ended.tenant),
                self.metrics.in_flight,
            ):
                try:
                    resynced = await self._run_steps(job, ended, steps)
                except Superseded as error:
                    resynced = Resynced(
                        answer_superseded(self.provider_type, job, steps.execution_id, error)
                    )
                end_trace(trace, job, resynced.answer)
                self.metrics.count_job(job.operation, resynced.answer.output.status)
                return resynced

    async def _run_steps(self, job: Job, ended: CompletedJob, steps: Steps) -> Resynced:
        check = partial(self._check, ended, steps)
        result = await self.step_runner.run(job, steps, "resolve", check, ResyncCheck)
        follow_up = self.resyncer.follow_up(ended, result)
        if not result.needs_repair:
            unchanged = answer_unchanged(
                self.provider_type, job, steps.execution_id, result.started_at
            )
            return Resynced(unchanged, follow_up)
        start = JobStart(
            operation=job.operation, started_at=result.started_at, placement=result.placement
        )
        record = await steps.acquire(job.tenant, start)
        repair = partial(self._repair, ended, record)
        confirmed = await self.step_runner.run(job, steps, "resync", repair, Confirmed)
        transition = sum_up(job, steps.execution_id, result, confirmed)
        await steps.complete(job.tenant, transition)
        return Resynced(answer_succeeded(self.provider_type, job, transition), follow_up)

    async def _check(self, ended: CompletedJob, steps: Steps) -> ResyncCheck:
        if self._checks.locked():
            # Waiting here would delay a drain for as long as a step may take.
            raise Transient("too many tenants are being resynced at the moment")
        async with self._checks:
            try:
                record = await steps.read_record(ended.tenant)
            except StillRunning:
                return ResyncCheck(started_at=now(), too_early=True)
            return await self.resyncer.check(ended, record)

    async def _repair(self, ended: CompletedJob, record: Record) -> Confirmed:
        # A late request of the tenant's previous job would undo the repair.
        await self.in_flight.wait_ended(ended.tenant)
        return await self.resyncer.repair(ended, record)
