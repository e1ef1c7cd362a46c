"""The order of a job's steps, from its body to its answer, in a journal of fixed shape.

The backend keeps a record of each tenant: its placements and its last transitions.
"""

from functools import partial

import attrs

from landlord_engines_core.errors import InvalidJob, Superseded
from landlord_engines_core.metrics import JobMetrics
from landlord_engines_core.models import ExecutionStatus, Job, JobStart, Operation, Record
from landlord_engines_core.steps import LostAttempts, Steps
from landlord_engines_core.tenants.actions import JobActions
from landlord_engines_core.tenants.answers import (
    answer_planned,
    answer_succeeded,
    answer_superseded,
    sum_up,
)
from landlord_engines_core.tenants.attempt import StepRunner
from landlord_engines_core.tenants.crash_loops import CrashLoops
from landlord_engines_core.tenants.job_times import JobTimes, build_job_times
from landlord_engines_core.tenants.reading import JobReader, read_tenant
from landlord_engines_core.tenants.results import Confirmed, Planned, Resolved
from landlord_engines_core.tenants.spans import end_trace, end_trace_of_invalid
from landlord_engines_core.tracing import JobTrace, trace_job

__all__ = ["JobRunner"]


@attrs.frozen(kw_only=True)
class JobRunner:
    """Runs jobs.

    Attributes:
        reader: Reads a job from its body.
        actions: The actions of the steps.
        step_runner: Runs each step within its bounds.
        crash_loops: Delays jobs whose workers died repeatedly.
        provider_type: Landlord's name of the workflow backend.
        metrics: Counts jobs.
    """

    reader: JobReader
    actions: JobActions
    step_runner: StepRunner
    crash_loops: CrashLoops
    provider_type: str
    metrics: JobMetrics

    async def run(self, body: bytes, steps: Steps) -> ExecutionStatus:
        """Carry out one job.

        Args:
            body: The body as Landlord sent it.
            steps: The backend's steps for this job.

        Raises:
            InvalidJob: The job ends, with a status for its sender.
            Held: The backend tries the job again after a pause, until its configuration changes.
            Transient: The backend tries the job again soon.
        """
        with trace_job(steps.execution_id) as trace:
            # This comes first: reading the body may kill the worker.
            lost = await steps.lost_attempts()
            if not lost.count:
                return await self._run(body, steps, lost, trace)
            with self.crash_loops.attempt(steps.execution_id, lost, partial(read_tenant, body)):
                return await self._run(body, steps, lost, trace)

    async def _run(
        self, body: bytes, steps: Steps, lost: LostAttempts, trace: JobTrace
    ) -> ExecutionStatus:
        with self.metrics.in_flight:
            job = None
            try:
                job = await self.reader.read(body)
                answer = await self._run_steps(job, steps, lost)
            except InvalidJob as error:
                end_trace_of_invalid(trace, job, steps.execution_id, error)
                raise
            end_trace(trace, job, answer)
            self.metrics.count_job(job.operation, answer.output.status)
            return answer

    async def _run_steps(self, job: Job, steps: Steps, lost: LostAttempts) -> ExecutionStatus:
        try:
            if job.operation is Operation.PLAN:
                return await self._plan(job, steps)
            return await self._carry_out(job, steps, lost)
        except Superseded as error:
            return answer_superseded(self.provider_type, job, steps.execution_id, error)

    async def _plan(self, job: Job, steps: Steps) -> ExecutionStatus:
        resolved = await self._resolve(job, steps)
        plan = partial(self.actions.plan, job, resolved)
        planned = await self.step_runner.run(job, steps, "plan", plan, Planned)
        return answer_planned(
            self.provider_type, job, steps.execution_id, resolved.started_at, planned
        )

    async def _carry_out(self, job: Job, steps: Steps, lost: LostAttempts) -> ExecutionStatus:
        resolved = await self._resolve(job, steps)
        start = JobStart(
            operation=job.operation,
            started_at=resolved.started_at,
            placement=resolved.placement,
            candidates=resolved.candidates,
            is_uuid=job.is_uuid,
            # From the journal, and not from the job: see `codec.ADDED_LATER`.
            name=resolved.name,
        )
        record = await steps.acquire(job.tenant, start)
        times = build_job_times(
            job,
            steps.execution_id,
            resolved,
            record,
            self.metrics.durations,
            is_retry=lost.is_retry,
        )
        try:
            confirmed = await self._apply(job, steps, resolved, record, times)
        except InvalidJob as error:
            # The record gets a transition anyway: Landlord takes the end for a success, and later
            # jobs are ordered after this one.
            fail = partial(self.actions.fail, error.message)
            failed = await self.step_runner.run(job, steps, "fail", fail, Confirmed)
            await self._complete(job, steps, resolved, failed, times)
            raise
        return await self._complete(job, steps, resolved, confirmed, times)

    async def _resolve(self, job: Job, steps: Steps) -> Resolved:
        resolve = partial(self.actions.resolve, job, steps)
        return await self.step_runner.run(job, steps, "resolve", resolve, Resolved)

    async def _apply(
        self, job: Job, steps: Steps, resolved: Resolved, record: Record, times: JobTimes
    ) -> Confirmed:
        apply = partial(self.actions.apply, job, steps.execution_id, resolved, record)
        confirmed = await self.step_runner.run(
            job, steps, "apply", apply, Confirmed, on_attempt=times.observe_lock_wait
        )
        if reason := confirmed.applied.rolled_back:
            # In a separate step the rollback is already in the journal, so no attempt of this job
            # applies the configuration again.
            hold = partial(self.actions.hold, reason)
            await self.step_runner.run(job, steps, "hold", hold, Confirmed)
        return confirmed

    async def _complete(
        self,
        job: Job,
        steps: Steps,
        resolved: Resolved,
        confirmed: Confirmed,
        times: JobTimes,
    ) -> ExecutionStatus:
        transition = sum_up(job, steps.execution_id, resolved, confirmed)
        await steps.complete(job.tenant, transition)
        times.observe_end()
        return answer_succeeded(self.provider_type, job, transition)
