"""Building the parts that run jobs: resolution, actions, resyncs and their limits."""

from landlord_engines_core.compute import ComputeRegistry, InFlightRequests
from landlord_engines_core.landlord import LandlordClient
from landlord_engines_core.logs import Logger
from landlord_engines_core.metrics import JobMetrics, Metrics
from landlord_engines_core.resolution import Resolver
from landlord_engines_core.tenants import JobLimits, Slots, TenantJobs
from landlord_engines_core.tenants.actions import JobActions
from landlord_engines_core.tenants.attempt import StepRunner
from landlord_engines_core.tenants.confirm import Confirmer
from landlord_engines_core.tenants.converge import Converger
from landlord_engines_core.tenants.crash_loops import CrashLoops
from landlord_engines_core.tenants.failures import Failures
from landlord_engines_core.tenants.limits import MARGIN
from landlord_engines_core.tenants.planning import TenantPlanner
from landlord_engines_core.tenants.reading import JobReader
from landlord_engines_core.tenants.resync import Resyncer
from landlord_engines_core.tenants.resync_run import ResyncRunner
from landlord_engines_core.tenants.run import JobRunner

__all__ = ["build_jobs"]


def build_jobs(
    *,
    resolver: Resolver,
    registry: ComputeRegistry,
    landlord: LandlordClient | None,
    limits: JobLimits,
    provider_type: str,
    logger: Logger,
    metrics: Metrics,
) -> TenantJobs:
    """Build the parts that run jobs and resyncs.

    Args:
        resolver: Chooses engine, location and configuration.
        registry: The compute engines.
        landlord: Landlord's API; ``None`` if the worker has no address of it.
        limits: The limits of jobs and resyncs.
        provider_type: Landlord's name of the workflow backend.
        logger: The logger of all parts.
        metrics: Counts jobs and steps.
    """
    step_runner = _build_step_runner(registry, limits, logger, metrics.jobs)
    in_flight = step_runner.in_flight
    crash_loops = CrashLoops(logger=logger, metrics=metrics.jobs)
    metrics.jobs.durations.watch_engines(registry)
    metrics.jobs.watch_crash_loops(crash_loops.__len__)
    converger = Converger(registry=registry, health_timeout=limits.health_timeout)
    confirmer = Confirmer(converger=converger, resolver=resolver, landlord=landlord, logger=logger)
    actions = JobActions(
        resolver=resolver,
        converger=converger,
        confirmer=confirmer,
        crash_loops=crash_loops,
        in_flight=in_flight,
        logger=logger,
    )
    jobs = JobRunner(
        reader=JobReader(metrics=metrics.jobs),
        actions=actions,
        step_runner=step_runner,
        crash_loops=crash_loops,
        provider_type=provider_type,
        metrics=metrics.jobs,
    )
    resyncs = ResyncRunner(
        resyncer=Resyncer(
            converger=converger,
            resolver=resolver,
            landlord=landlord,
            logger=logger,
            first_check=limits.resync_after,
            last_check=limits.step_timeout + registry.longest_carry + MARGIN,
        ),
        step_runner=step_runner,
        crash_loops=crash_loops,
        in_flight=in_flight,
        provider_type=provider_type,
        metrics=metrics.jobs,
        # A tenth of the slots: after an outage many tenants are due at once, and jobs go first.
        max_concurrent_checks=max(1, limits.max_concurrent_jobs // 10),
    )
    return TenantJobs(
        jobs=jobs,
        resyncs=resyncs,
        planner=TenantPlanner(
            converger=converger,
            resolver=resolver,
            landlord=landlord,
            step_timeout=limits.step_timeout,
        ),
        confirmer=confirmer,
        failures=step_runner.failures,
        in_flight=in_flight,
        slots=step_runner.slots,
    )


def _build_step_runner(
    registry: ComputeRegistry, limits: JobLimits, logger: Logger, metrics: JobMetrics
) -> StepRunner:
    failures = Failures(
        hold_retry_interval=limits.hold_retry_interval,
        fail_permanently=limits.fail_permanently,
        logger=logger,
    )
    return StepRunner(
        failures=failures,
        in_flight=InFlightRequests(longest_carry=registry.longest_carry),
        slots=Slots(limit=limits.max_concurrent_jobs, step_timeout=limits.step_timeout),
        step_timeout=limits.step_timeout,
        metrics=metrics,
        logger=logger,
    )
