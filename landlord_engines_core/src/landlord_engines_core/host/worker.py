"""Building a worker: complete, or idle for a command that only checks or registers."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from functools import partial

import attrs

from landlord_engines_core.compute import ComputeRegistry
from landlord_engines_core.compute.targets import Targets
from landlord_engines_core.descriptors import max_connections, read_limit
from landlord_engines_core.engine import (
    EngineContext,
    EngineFactory,
    EngineInfo,
    HostInfo,
    WorkerEngine,
)
from landlord_engines_core.engine.declaration import find_class_problems
from landlord_engines_core.engine.guarded import GuardedEngine, build_boundary
from landlord_engines_core.errors import (
    EngineFailed,
    PluginInvalid,
)
from landlord_engines_core.host.compute import build_registry
from landlord_engines_core.host.jobs import build_jobs
from landlord_engines_core.landlord import LandlordClient
from landlord_engines_core.logs import Logger
from landlord_engines_core.metrics import CacheMetrics, EngineMetrics, Metrics
from landlord_engines_core.resolution import Resolver
from landlord_engines_core.settings import Settings, WorkerSettings
from landlord_engines_core.tenants import JobLimits, TenantJobs, check_limits

__all__ = ["WorkerParts", "build_worker", "build_worker_for_command"]

LONGEST_SHUTDOWN = 10.0
"""Seconds that an engine which never served may take to shut down."""


@attrs.frozen(kw_only=True)
class WorkerParts:
    """The parts of one worker."""

    info: EngineInfo
    engine: WorkerEngine
    jobs: TenantJobs
    landlord: LandlordClient | None
    metrics: Metrics
    targets: Targets


@asynccontextmanager
async def build_worker(
    factory: EngineFactory, settings: Settings, logger: Logger
) -> AsyncIterator[WorkerParts]:
    """Build all parts of a worker, and close them when the context ends.

    Args:
        factory: The worker engine's factory.
        settings: All settings.
        logger: The logger of all parts.

    Raises:
        PluginError: A compute engine cannot be loaded, or the worker engine lacks what it declares.
        SettingsError: The worker engine refuses its settings, or limits do not fit together.
    """
    worker = settings.worker
    metrics = Metrics()
    registry = build_registry(settings, logger, metrics)
    landlord = LandlordClient(worker.landlord_api_url) if worker.landlord_api_url else None
    try:
        limits = _read_limits(worker)
        check_limits(limits, registry, history_retention=worker.history_retention)
        jobs = build_jobs(
            resolver=_build_resolver(worker, registry, landlord, metrics.caches, logger),
            registry=registry,
            landlord=landlord,
            limits=limits,
            provider_type=factory.info.name,
            logger=logger,
            metrics=metrics,
        )
        context = EngineContext(
            settings=settings.engine,
            run_job=jobs.run,
            resync=jobs.resync,
            is_desired=jobs.is_desired,
            logger=logger,
            host=_describe_host(worker, registry),
        )
        yield WorkerParts(
            info=factory.info,
            engine=_build_engine(factory, context, metrics.engines),
            jobs=jobs,
            landlord=landlord,
            metrics=metrics,
            targets=Targets(registry=registry, logger=logger),
        )
    finally:
        # The registry is closed even if closing the client fails.
        try:
            if landlord is not None:
                await landlord.aclose()
        finally:
            await registry.aclose()


@asynccontextmanager
async def build_worker_for_command(
    factory: EngineFactory, settings: Settings, logger: Logger
) -> AsyncIterator[WorkerParts]:
    """Build a worker for a command that serves nothing, and then shut its engine down.

    Raises:
        EngineFailed: The engine does not shut down.
        PluginError: A compute engine cannot be loaded, or the worker engine lacks what it declares.
        SettingsError: The worker engine refuses its settings, or limits do not fit together.
    """
    async with build_worker(factory, settings, logger) as parts:
        try:
            yield parts
        finally:
            await _shut_down(parts.info, parts.engine)


async def _shut_down(info: EngineInfo, engine: WorkerEngine) -> None:
    try:
        async with asyncio.timeout(LONGEST_SHUTDOWN):
            await engine.shutdown(0)
    except TimeoutError as error:
        raise EngineFailed(
            f"shutdown of worker engine {info.name} did not return within {LONGEST_SHUTDOWN:g} s",
            hint="report it to the engine's authors",
        ) from error


def _read_limits(worker: WorkerSettings) -> JobLimits:
    return JobLimits(
        step_timeout=worker.step_timeout,
        health_timeout=worker.health_timeout,
        hold_retry_interval=worker.hold_retry_interval,
        fail_permanently=worker.on_permanent_failure == "fail",
        max_concurrent_jobs=worker.max_concurrent_jobs,
        resync_after=worker.resync_after,
    )


def _build_resolver(
    worker: WorkerSettings,
    registry: ComputeRegistry,
    landlord: LandlordClient | None,
    metrics: CacheMetrics,
    logger: Logger,
) -> Resolver:
    assert worker.compute_cache_ttl is not None, "loading the settings fills it"
    return Resolver(
        registry=registry,
        landlord=landlord,
        force=worker.force_compute_provider,
        default=worker.compute_provider,
        ttl=worker.compute_cache_ttl,
        max_config_bytes=worker.max_config_bytes,
        logger=logger,
        metrics=metrics,
    )


def _describe_host(worker: WorkerSettings, registry: ComputeRegistry) -> HostInfo:
    return HostInfo(
        step_timeout=worker.step_timeout,
        longest_carry=registry.longest_carry,
        history_retention=worker.history_retention,
        resync_after=worker.resync_after,
        drain_timeout=worker.drain_timeout,
        max_connections=max_connections(read_limit()),
    )


def _build_engine(
    factory: EngineFactory, context: EngineContext, metrics: EngineMetrics
) -> WorkerEngine:
    boundary = build_boundary(
        factory.info, partial(metrics.time_call, "worker engine", factory.info.name)
    )
    with boundary.call("create_engine"):
        engine = factory.create_engine(context)
    # When the factory was loaded, the class was perhaps not known.
    if problems := find_class_problems(factory.info, type(engine)):
        raise PluginInvalid(
            f"worker engine {factory.info.name} is not valid: {'; '.join(problems)}",
            hint="report it to the engine's authors",
        )
    return GuardedEngine(engine, boundary)
