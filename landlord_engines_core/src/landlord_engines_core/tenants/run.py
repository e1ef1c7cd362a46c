"""Runs one job from its bytes to its answer, in a journal of fixed shape."""

import asyncio
from collections.abc import Awaitable, Callable, Mapping
from functools import partial
from typing import TypeVar

import attrs

from landlord_engines_core.compute import ComputeRegistry
from landlord_engines_core.errors import (
    ComputeRefused,
    InvalidJob,
    LandlordUnavailable,
    Superseded,
    Transient,
)
from landlord_engines_core.landlord import LandlordClient
from landlord_engines_core.logs import Logger, job_context
from landlord_engines_core.metrics import Metrics
from landlord_engines_core.models import Ended, ExecutionStatus, Job, Note, Operation, Record
from landlord_engines_core.resolution import Resolver
from landlord_engines_core.steps import Steps
from landlord_engines_core.tenants import answers
from landlord_engines_core.tenants.acts import Acts
from landlord_engines_core.tenants.confirm import Confirmer, now
from landlord_engines_core.tenants.converge import Converger
from landlord_engines_core.tenants.failures import Failures
from landlord_engines_core.tenants.results import Applied, Confirmed, Planned, Resolved, Settling
from landlord_engines_core.tenants.settle import Settler
from landlord_engines_core.tenants.slots import Slots
from landlord_engines_core.tenants.understand import MAX_BODY, understand

__all__ = ["JobLimits", "TenantJobs"]

T = TypeVar("T")

_ACTING = frozenset({"apply", "confirm", "settle"})
"""The steps that act on a target, and need a slot; their deadline begins with it."""


@attrs.frozen(kw_only=True)
class JobLimits:
    """The bounds of a job; times are seconds.

    Attributes:
        step_timeout: After this long a step is given up, and entered again.
        health_timeout: How long a resource may take to become healthy.
        hold_interval: The pause between two looks at a held job.
        fail_permanently: End a job that would be held; Landlord then takes it for done.
        max_concurrent_jobs: How many jobs act on targets at once.
    """

    step_timeout: float = 300.0
    health_timeout: float = 60.0
    hold_interval: float = 30.0
    fail_permanently: bool = False
    max_concurrent_jobs: int = 100


@attrs.define(kw_only=True)
class TenantJobs:
    """Runs jobs; one for the whole process.

    Attributes:
        resolver: Chooses engine, place and configuration.
        registry: The compute engines.
        landlord: Landlord's API, where the worker has its address.
        limits: The bounds of a job.
        provider_type: What Landlord calls the workflow backend.
        logger: Where transitions are logged.
        metrics: Where jobs and steps are counted.
        slots: What a step holds while it acts on a target.
    """

    resolver: Resolver
    registry: ComputeRegistry
    landlord: LandlordClient | None
    limits: JobLimits
    provider_type: str
    logger: Logger
    metrics: Metrics = attrs.field(factory=Metrics)
    slots: Slots = attrs.field(init=False)
    _acts: Acts = attrs.field(init=False)
    _converger: Converger = attrs.field(init=False)
    _confirmer: Confirmer = attrs.field(init=False)
    _settler: Settler = attrs.field(init=False)
    _looks: asyncio.Semaphore = attrs.field(init=False)
    _failures: Failures = attrs.field(init=False)

    def __attrs_post_init__(self) -> None:
        """Put the parts together that all jobs share."""
        self._acts = Acts(limit=self.limits.step_timeout)
        self._converger = Converger(
            registry=self.registry, acts=self._acts, health_timeout=self.limits.health_timeout
        )
        self._confirmer = Confirmer(
            converger=self._converger,
            resolver=self.resolver,
            landlord=self.landlord,
            logger=self.logger,
        )
        self._settler = Settler(
            converger=self._converger,
            resolver=self.resolver,
            landlord=self.landlord,
            logger=self.logger,
        )
        self._failures = Failures(
            hold_interval=self.limits.hold_interval,
            fail_permanently=self.limits.fail_permanently,
            logger=self.logger,
        )
        self.slots = Slots(
            limit=self.limits.max_concurrent_jobs, step_timeout=self.limits.step_timeout
        )
        # Slots are for jobs: after an outage many tenants are to be settled at once.
        self._looks = asyncio.Semaphore(max(1, self.limits.max_concurrent_jobs // 10))

    async def run(self, body: bytes, steps: Steps) -> ExecutionStatus:
        """Carry out one job.

        Args:
            body: The body as Landlord sent it.
            steps: The backend's steps for this job.

        Raises:
            InvalidJob: The job ends, with a status for its sender.
            Held: It is to be tried again after a pause, until its configuration changes.
            Transient: It is to be tried again soon.
        """
        with self.metrics.in_flight:
            if len(body) > MAX_BODY:
                await steps.run("resolve", partial(self._refuse_unread, steps), Resolved)
            job = self._understood(body)
            answer = await self._answered(job, steps)
            self.metrics.job_ended(job.operation, answer.output.status)
            return answer

    def settles(self, after: float) -> Mapping[str, float]:
        """When to settle, by the operation of the job that ended: seconds, 0 for never."""
        return dict.fromkeys(self._settler.operations, after) if after else {}

    async def settle(self, ended: Ended, steps: Steps) -> ExecutionStatus:
        """Hold what Landlord says of a tenant against what is there, and mend it.

        Args:
            ended: The tenant's last job, which ended some time ago.
            steps: The backend's steps, whose ``take`` gives way to every job.

        Raises:
            Transient: It is to be tried again soon.
        """
        job = Job(tenant=ended.tenant, name="", operation=Operation.SETTLE)
        with self.metrics.in_flight:
            try:
                answer = await self._settle(job, ended, steps)
            except Superseded as error:
                answer = answers.superseded(self.provider_type, job, steps.execution_id, error)
            self.metrics.job_ended(job.operation, answer.output.status)
            return answer

    async def settled(self) -> None:
        """Return when no request to a target is under way, those of stopped jobs included."""
        await self._acts.all_settled()

    async def _refuse_unread(self, steps: Steps) -> Resolved:
        # Not invalid: Landlord takes a job that has ended for done, a delete too.
        with (
            self.metrics.step("resolve", "unknown", steps.execution_id),
            self._failures.translated("resolve"),
        ):
            raise ComputeRefused(
                f"the job's body has more than {MAX_BODY} bytes and is not read",
                hint="make the tenant's configuration smaller",
            )

    def _understood(self, body: bytes) -> Job:
        try:
            return understand(body)
        except InvalidJob:
            self.metrics.body_refused()
            raise

    async def _answered(self, job: Job, steps: Steps) -> ExecutionStatus:
        try:
            if job.operation is Operation.PLAN:
                return await self._plan(job, steps)
            return await self._carry_out(job, steps)
        except Superseded as error:
            return answers.superseded(self.provider_type, job, steps.execution_id, error)

    async def _carry_out(self, job: Job, steps: Steps) -> ExecutionStatus:
        resolve = partial(self._resolve, job, steps)
        resolved = await self._step(job, steps, "resolve", resolve, Resolved)
        note = Note(
            operation=job.operation,
            started_at=resolved.started_at,
            placement=resolved.placement,
        )
        record = await steps.take(job.tenant, note)
        apply = partial(self._apply, job, resolved, record)
        applied = await self._step(job, steps, "apply", apply, Applied)
        confirm = partial(self._confirm, job, steps.execution_id, record, applied)
        confirmed = await self._step(job, steps, "confirm", confirm, Confirmed)
        transition = answers.transition_of(job, steps.execution_id, resolved, confirmed)
        await steps.end(job.tenant, transition)
        return answers.succeeded(self.provider_type, job, transition)

    async def _plan(self, job: Job, steps: Steps) -> ExecutionStatus:
        resolve = partial(self._resolve, job, steps)
        resolved = await self._step(job, steps, "resolve", resolve, Resolved)
        look = partial(self._look, job, resolved)
        planned = await self._step(job, steps, "plan", look, Planned)
        return answers.planned(
            self.provider_type, job, steps.execution_id, resolved.started_at, planned
        )

    async def _settle(self, job: Job, ended: Ended, steps: Steps) -> ExecutionStatus:
        look = partial(self._look_first, ended, steps)
        found = await self._step(job, steps, "resolve", look, Settling)
        if not found.due:
            return answers.nothing_to_mend(
                self.provider_type, job, steps.execution_id, found.started_at
            )
        note = Note(operation=job.operation, started_at=found.started_at, placement=found.placement)
        record = await steps.take(job.tenant, note)
        mend = partial(self._mend, ended, record)
        settled = await self._step(job, steps, "settle", mend, Confirmed)
        transition = answers.transition_of(job, steps.execution_id, found, settled)
        await steps.end(job.tenant, transition)
        return answers.succeeded(self.provider_type, job, transition)

    async def _step(
        self,
        job: Job,
        steps: Steps,
        name: str,
        work: Callable[[], Awaitable[T]],
        kind: type[T],
    ) -> T:
        async def action() -> T:
            # Here and not around the job: a backend enters that again after every step.
            execution_id = steps.execution_id
            counted = self.metrics.step(name, job.operation, execution_id)
            with (
                counted,
                job_context(tenant=job.tenant, operation=job.operation, execution_id=execution_id),
            ):
                return await self._bounded(name, execution_id, work)

        return await steps.run(name, action, kind)

    async def _bounded(self, name: str, execution_id: str, work: Callable[[], Awaitable[T]]) -> T:
        acting = name in _ACTING
        limit = self.limits.step_timeout
        bound = self.slots.one(execution_id) if acting else asyncio.timeout(limit)
        try:
            with self._failures.translated(name):
                async with bound:
                    return await work()
        except asyncio.CancelledError:
            # By a kill, or at the end of a drain; another attempt enters the step again.
            self.logger.warning("step cut", step=name)
            raise

    async def _resolve(self, job: Job, steps: Steps) -> Resolved:
        if job.operation is Operation.DELETE:
            return Resolved(started_at=now())
        look = partial(steps.look, job.tenant)
        try:
            placement = await self.resolver.placement(job, look)
        except (ComputeRefused, LandlordUnavailable):
            # A job that waits here holds no turn: only a look tells it that it was overtaken.
            await look()
            raise
        return Resolved(started_at=now(), placement=placement)

    async def _apply(self, job: Job, resolved: Resolved, record: Record) -> Applied:
        await self._acts.settled(job.tenant)
        if resolved.placement is None:
            places = record.placements or await self.resolver.candidates(job)
            return await self._converger.destroy(job.tenant, places)
        spec = await self.resolver.spec(job, resolved.placement)
        return await self._converger.apply(resolved.placement.engine, spec)

    async def _confirm(
        self, job: Job, execution_id: str, record: Record, applied: Applied
    ) -> Confirmed:
        await self._acts.settled(job.tenant)
        confirmed = await self._confirmer.confirm(job, execution_id, record, applied)
        self.logger.info("job done", outcome=str(confirmed.applied.outcome))
        return confirmed

    async def _look_first(self, ended: Ended, steps: Steps) -> Settling:
        if self._looks.locked():
            # Not waited for here: that would hold a drain up for as long as a step may take.
            raise Transient("many tenants are being settled just now")
        async with self._looks:
            return await self._settler.look(ended, await steps.look(ended.tenant))

    async def _mend(self, ended: Ended, record: Record) -> Confirmed:
        await self._acts.settled(ended.tenant)
        return await self._settler.mend(ended, record)

    async def _look(self, job: Job, resolved: Resolved) -> Planned:
        assert resolved.placement is not None, "only a delete has no placement"
        spec = await self.resolver.spec(job, resolved.placement)
        found = await self._converger.planned(resolved.placement.engine, spec)
        return Planned(action=found.action, changes=found.changes)
