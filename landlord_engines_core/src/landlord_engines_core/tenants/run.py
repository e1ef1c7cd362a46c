"""Runs one job from its bytes to its answer, in a journal of fixed shape."""

import asyncio
from collections.abc import Awaitable, Callable
from functools import partial
from typing import TypeVar

import attrs

from landlord_engines_core.compute import ComputeRegistry, InFlightRequests
from landlord_engines_core.errors import (
    ComputeRefused,
    Held,
    InvalidJob,
    LandlordUnavailable,
    StillRunning,
    Superseded,
    Transient,
)
from landlord_engines_core.landlord import LandlordClient
from landlord_engines_core.logs import Logger, job_context
from landlord_engines_core.metrics import Metrics
from landlord_engines_core.models import (
    CompletedJob,
    ExecutionStatus,
    Job,
    JobStart,
    Operation,
    Outcome,
    Placement,
    Record,
    Resynced,
)
from landlord_engines_core.resolution import Resolver
from landlord_engines_core.steps import Steps
from landlord_engines_core.tenants import answers
from landlord_engines_core.tenants.confirm import Confirmer, now
from landlord_engines_core.tenants.converge import Converger
from landlord_engines_core.tenants.crash_loops import CrashLoops
from landlord_engines_core.tenants.failures import Failures
from landlord_engines_core.tenants.parsing import parse_job
from landlord_engines_core.tenants.results import Applied, Confirmed, Planned, Resolved, ResyncCheck
from landlord_engines_core.tenants.resync import Resyncer
from landlord_engines_core.tenants.slots import Slots

__all__ = ["JobLimits", "TenantJobs"]

T = TypeVar("T")

MARGIN = 10.0
"""Seconds after the longest step until no act of it can be alive; clocks and loops are late."""

READ_AT_ONCE = 256 * 1024
"""Bytes of a body that is read in the event loop, in some milliseconds."""

_ACTING = frozenset({"apply", "resync"})
"""The steps that act on a target, and need a slot; their deadline begins with it."""


@attrs.frozen(kw_only=True)
class JobLimits:
    """The bounds of a job; times are seconds.

    Attributes:
        step_timeout: After this long a step is given up, and entered again.
        health_timeout: How long a resource may take to become healthy.
        hold_retry_interval: The pause between two looks at a held job.
        fail_permanently: End a job that would be held; Landlord then takes it for done.
        max_concurrent_jobs: How many jobs act on targets at once.
        resync_after: How long after its job a tenant is looked at once more.
    """

    step_timeout: float = 300.0
    health_timeout: float = 60.0
    hold_retry_interval: float = 30.0
    fail_permanently: bool = False
    max_concurrent_jobs: int = 100
    resync_after: float = 60.0


@attrs.define(kw_only=True)
class TenantJobs:
    """Runs jobs; one for the whole process.

    Attributes:
        resolver: Chooses engine, location and configuration.
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
    _in_flight: InFlightRequests = attrs.field(init=False)
    _converger: Converger = attrs.field(init=False)
    _confirmer: Confirmer = attrs.field(init=False)
    _resyncer: Resyncer = attrs.field(init=False)
    _looks: asyncio.Semaphore = attrs.field(init=False)
    _reads: asyncio.Semaphore = attrs.field(init=False)
    _failures: Failures = attrs.field(init=False)
    _crash_loops: CrashLoops = attrs.field(init=False)

    def __attrs_post_init__(self) -> None:
        """Put the parts together that all jobs share."""
        self._in_flight = InFlightRequests(longest_carry=self.registry.longest_carry)
        self._converger = Converger(
            registry=self.registry, health_timeout=self.limits.health_timeout
        )
        self._confirmer = Confirmer(
            converger=self._converger,
            resolver=self.resolver,
            landlord=self.landlord,
            logger=self.logger,
        )
        self._resyncer = Resyncer(
            converger=self._converger,
            resolver=self.resolver,
            landlord=self.landlord,
            logger=self.logger,
            first_look=self.limits.resync_after,
            last_look=self.limits.step_timeout + self.registry.longest_carry + MARGIN,
        )
        self._failures = Failures(
            hold_retry_interval=self.limits.hold_retry_interval,
            fail_permanently=self.limits.fail_permanently,
            logger=self.logger,
        )
        self.slots = Slots(
            limit=self.limits.max_concurrent_jobs, step_timeout=self.limits.step_timeout
        )
        self._crash_loops = CrashLoops(logger=self.logger, metrics=self.metrics)
        self.metrics.watch_crash_loops(self._crash_loops.__len__)
        self._reads = asyncio.Semaphore(1)
        # Slots are for jobs: after an outage many tenants are to be resynced at once.
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
        lost = await steps.lost_attempts()
        if not lost.count:
            return await self._run(body, steps)
        with self._crash_loops.attempt(steps.execution_id, lost, partial(_tenant, body)):
            return await self._run(body, steps)

    async def resync(self, ended: CompletedJob, steps: Steps) -> Resynced:
        """Hold what Landlord says of a tenant against what is there, and repair it.

        Args:
            ended: The job that had the tenant's lock last.
            steps: The backend's steps, whose ``take`` gives way to every job.

        Raises:
            Transient: It is to be tried again soon.
        """
        lost = await steps.lost_attempts()
        with self._crash_loops.attempt(steps.execution_id, lost, lambda: ended.tenant):
            return await self._resync_tenant(ended, steps)

    async def _run(self, body: bytes, steps: Steps) -> ExecutionStatus:
        with self.metrics.in_flight:
            job = await self._understood(body)
            answer = await self._answered(job, steps)
            self.metrics.job_ended(job.operation, answer.output.status)
            return answer

    async def _resync_tenant(self, ended: CompletedJob, steps: Steps) -> Resynced:
        job = Job(tenant=ended.tenant, name="", operation=Operation.RESYNC)
        with self.metrics.in_flight:
            try:
                resynced = await self._resync(job, ended, steps)
            except Superseded as error:
                resynced = Resynced(
                    answers.superseded(self.provider_type, job, steps.execution_id, error)
                )
            self.metrics.job_ended(job.operation, resynced.answer.output.status)
            return resynced

    async def is_wanted(self, tenant: str) -> bool | None:
        """Whether Landlord wants the tenant's resource; ``None`` without Landlord's API.

        Raises:
            Transient: Landlord's API gives no usable answer.
        """
        with self._failures.translated("order"):
            return await self._confirmer.is_wanted(tenant)

    def drain(self, deadline: float) -> None:
        """Begin nothing that leaves a tenant out of service beyond ``deadline``, a loop's time."""
        self._in_flight.drain(deadline)

    @property
    def cut(self) -> int:
        """How many requests to targets were given up before their end, or are still under way."""
        return self._in_flight.given_up + len(self._in_flight)

    async def wait_in_flight(self) -> None:
        """Return when no request to a target is under way, those of stopped jobs included."""
        await self._in_flight.wait_all_ended()

    async def _understood(self, body: bytes) -> Job:
        try:
            if len(body) <= READ_AT_ONCE:
                return parse_job(body)
            # One at a time and beside the loop: it takes memory, and up to seconds.
            async with self._reads:
                return await asyncio.to_thread(parse_job, body)
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
        note = JobStart(
            operation=job.operation,
            started_at=resolved.started_at,
            placement=resolved.placement,
            candidates=resolved.candidates,
            is_uuid=job.is_uuid,
        )
        record = await steps.acquire(job.tenant, note)
        try:
            confirmed = await self._worked(job, steps, resolved, record)
        except InvalidJob as error:
            # Landlord takes the end for a success, and the order of jobs for that of a whole one.
            failed = partial(self._failed, error.message)
            confirmed = await self._step(job, steps, "fail", failed, Confirmed)
            await self._end(job, steps, resolved, confirmed)
            raise
        return await self._end(job, steps, resolved, confirmed)

    async def _worked(
        self, job: Job, steps: Steps, resolved: Resolved, record: Record
    ) -> Confirmed:
        apply = partial(self._apply, job, steps.execution_id, resolved, record)
        confirmed = await self._step(job, steps, "apply", apply, Confirmed)
        if reason := confirmed.applied.rolled_back:
            # Its value is in the journal by now, so that this job never applies it again.
            hold = partial(self._hold, reason)
            await self._step(job, steps, "hold", hold, Confirmed)
        return confirmed

    async def _end(
        self, job: Job, steps: Steps, resolved: Resolved | ResyncCheck, confirmed: Confirmed
    ) -> ExecutionStatus:
        transition = answers.transition_of(job, steps.execution_id, resolved, confirmed)
        await steps.complete(job.tenant, transition)
        return answers.succeeded(self.provider_type, job, transition)

    async def _plan(self, job: Job, steps: Steps) -> ExecutionStatus:
        resolve = partial(self._resolve, job, steps)
        resolved = await self._step(job, steps, "resolve", resolve, Resolved)
        look = partial(self._look, job, resolved)
        planned = await self._step(job, steps, "plan", look, Planned)
        return answers.planned(
            self.provider_type, job, steps.execution_id, resolved.started_at, planned
        )

    async def _resync(self, job: Job, ended: CompletedJob, steps: Steps) -> Resynced:
        look = partial(self._look_first, ended, steps)
        found = await self._step(job, steps, "resolve", look, ResyncCheck)
        follow_up = self._resyncer.follow_up(ended, found)
        if not found.needs_repair:
            unchanged = answers.nothing_to_repair(
                self.provider_type, job, steps.execution_id, found.started_at
            )
            return Resynced(unchanged, follow_up)
        note = JobStart(
            operation=job.operation, started_at=found.started_at, placement=found.placement
        )
        record = await steps.acquire(job.tenant, note)
        repair = partial(self._repair, ended, record)
        resynced = await self._step(job, steps, "resync", repair, Confirmed)
        return Resynced(await self._end(job, steps, found, resynced), follow_up)

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
                self._in_flight.act(job.tenant, partial(steps.read_record, job.tenant)),
                job_context(tenant=job.tenant, operation=job.operation, execution_id=execution_id),
            ):
                try:
                    return await self._bounded(name, execution_id, work)
                except (Held, Transient) as error:
                    error.tenant = job.tenant
                    raise

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
            self.logger.warning("step cancelled", step=name)
            raise

    async def _resolve(self, job: Job, steps: Steps) -> Resolved:
        if job.operation is Operation.DELETE:
            if job.unreadable:
                return Resolved(started_at=now())
            candidates = await self.resolver.candidates(job)
            return Resolved(started_at=now(), candidates=candidates)
        look = partial(steps.read_record, job.tenant)
        try:
            placement = await self.resolver.placement(job, look)
        except (ComputeRefused, LandlordUnavailable):
            # A job that waits here holds no lock: only a look tells it that it was overtaken.
            await look()
            raise
        return Resolved(started_at=now(), placement=placement)

    async def _apply(
        self, job: Job, execution_id: str, resolved: Resolved, record: Record
    ) -> Confirmed:
        await self._in_flight.wait_ended(job.tenant)
        if resolved.placement is None:
            locations = await self._locations_to_clear(job, resolved, record)
            confirmed = await self._confirmer.remove(job.tenant, locations)
        else:
            confirmed = await self._confirmer.bring(job, execution_id, record, resolved.placement)
        self.logger.info("job completed", outcome=str(confirmed.applied.outcome))
        return attrs.evolve(
            confirmed, detail=self._crash_loops.told(execution_id, confirmed.detail)
        )

    async def _locations_to_clear(
        self, job: Job, resolved: Resolved, record: Record
    ) -> tuple[Placement, ...]:
        locations = record.placements or resolved.candidates
        if locations or record.deleted:
            return locations
        return await self.resolver.candidates(job)

    async def _hold(self, reason: str) -> Confirmed:
        raise ComputeRefused(
            f"the update was rolled back, the former resource serves: {reason}",
            hint="change the tenant's configuration",
        )

    async def _failed(self, reason: str) -> Confirmed:
        return Confirmed(ended_at=now(), applied=Applied(outcome=Outcome.REFUSED), detail=reason)

    async def _look_first(self, ended: CompletedJob, steps: Steps) -> ResyncCheck:
        if self._looks.locked():
            # Not waited for here: that would hold a drain up for as long as a step may take.
            raise Transient("many tenants are being resynced just now")
        async with self._looks:
            try:
                record = await steps.read_record(ended.tenant)
            except StillRunning:
                return ResyncCheck(started_at=now(), too_early=True)
            return await self._resyncer.look(ended, record)

    async def _repair(self, ended: CompletedJob, record: Record) -> Confirmed:
        await self._in_flight.wait_ended(ended.tenant)
        return await self._resyncer.repair(ended, record)

    async def _look(self, job: Job, resolved: Resolved) -> Planned:
        assert resolved.placement is not None, "only a delete has no placement"
        spec = await self.resolver.spec(job, resolved.placement)
        found = await self._converger.planned(resolved.placement.engine, spec)
        return Planned(action=found.action, changes=found.changes)


def _tenant(body: bytes) -> str:
    """Whose job it is, for a log line; empty where reading it might be what kills the worker."""
    try:
        return parse_job(body).tenant if len(body) <= READ_AT_ONCE else ""
    except InvalidJob:
        return ""
