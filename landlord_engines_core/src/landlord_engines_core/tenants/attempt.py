"""One attempt of one step: its slot, its deadline, its metrics, its span and its log context."""

import asyncio
from collections.abc import Awaitable, Callable
from functools import partial
from typing import TypeVar

import attrs

from landlord_engines_core.compute import InFlightRequests
from landlord_engines_core.errors import Held, Transient
from landlord_engines_core.logs import Logger, job_context
from landlord_engines_core.metrics import JobMetrics
from landlord_engines_core.models import Job
from landlord_engines_core.steps import Steps
from landlord_engines_core.tenants.failures import Failures
from landlord_engines_core.tenants.slots import Slots
from landlord_engines_core.tenants.spans import describe_job
from landlord_engines_core.tracing import trace_span

__all__ = ["StepRunner"]

T = TypeVar("T")

_STEPS_WITH_SLOT = frozenset({"apply", "resync"})
"""The steps that change a target. Their deadline starts when they get a slot."""


def _do_nothing() -> None:
    """Do nothing: the default of a step whose attempts nobody observes."""


@attrs.frozen(kw_only=True)
class StepRunner:
    """Runs the actions of steps, each within its bounds.

    Attributes:
        failures: Translates the errors of an action.
        in_flight: Requests to targets that a cancelled step waits for.
        slots: Limit how many steps change targets at once.
        step_timeout: Seconds after which a step without a slot is cancelled.
        metrics: Counts steps and their failures.
        logger: Receives a line for each cancelled step.
    """

    failures: Failures
    in_flight: InFlightRequests
    slots: Slots
    step_timeout: float
    metrics: JobMetrics
    logger: Logger

    async def run(
        self,
        job: Job,
        steps: Steps,
        name: str,
        work: Callable[[], Awaitable[T]],
        kind: type[T],
        *,
        on_attempt: Callable[[], None] = _do_nothing,
    ) -> T:
        """Run one step of a job through the backend, and return its journaled value.

        Args:
            job: The job.
            steps: The backend's steps for this job.
            name: The step's name in the journal.
            work: The action; the backend may call it several times.
            kind: The type of the value.
            on_attempt: Called when the backend has the action run, before the wait for a slot.

        Raises:
            JobError: The action failed; see `Failures.translate_errors`.
        """

        async def action() -> T:
            # The context is entered here and not around the job: over HTTP/1.1 a backend enters
            # the job's handler again after every step.
            execution_id = steps.execution_id
            on_attempt()
            with (
                trace_span(f"step {name}", describe_job(job, execution_id)),
                self.metrics.step(name, job.operation, execution_id),
                self.in_flight.attribute_to(job.tenant, partial(steps.read_record, job.tenant)),
                job_context(tenant=job.tenant, operation=job.operation, execution_id=execution_id),
            ):
                try:
                    return await self._run_bounded(name, execution_id, work)
                except (Held, Transient) as error:
                    error.tenant = job.tenant
                    raise

        return await steps.run(name, action, kind)

    async def _run_bounded(
        self, name: str, execution_id: str, work: Callable[[], Awaitable[T]]
    ) -> T:
        needs_slot = name in _STEPS_WITH_SLOT
        bound = self.slots.hold(execution_id) if needs_slot else asyncio.timeout(self.step_timeout)
        try:
            with self.failures.translate_errors(name):
                async with bound:
                    return await work()
        except asyncio.CancelledError:
            # The job was killed or a drain ended. Another attempt runs the step again.
            self.logger.warning("step cancelled", step=name)
            raise
