"""The composition root: puts settings, compute engines, jobs and one worker engine together."""

import asyncio
import gc
import json
import os
from collections.abc import AsyncIterator, Mapping
from contextlib import AbstractContextManager, asynccontextmanager, suppress

import attrs

from landlord_engines_core import __version__
from landlord_engines_core.compute import ComputeEngine, ComputeRegistry
from landlord_engines_core.compute.targets import Targets
from landlord_engines_core.descriptors import limit, most_connections, raise_limit
from landlord_engines_core.engine import (
    EngineContext,
    EngineFactory,
    HostInfo,
    RegistrationState,
    WorkerEngine,
)
from landlord_engines_core.errors import (
    ComputeRefused,
    EngineFailed,
    LandlordEnginesError,
    PluginError,
    PluginSettingsRefused,
    exits_as_errors,
    kind_of,
)
from landlord_engines_core.landlord import LandlordClient
from landlord_engines_core.lifecycle import EngineLifecycle, EngineState, LifecycleOptions
from landlord_engines_core.logs import Logger, dropped_lines
from landlord_engines_core.metrics import Metrics
from landlord_engines_core.plugins import (
    COMPUTE_ENGINES,
    WORKER_ENGINES,
    damaged,
    list_engines,
    load_compute_engine,
)
from landlord_engines_core.probes import Probes
from landlord_engines_core.resolution import Resolver
from landlord_engines_core.settings import Settings, WorkerSettings
from landlord_engines_core.signals import LAST_RESORT, Control, run_async, signals
from landlord_engines_core.tenants import JobLimits, TenantJobs, check_limits

__all__ = [
    "Control",
    "ForcedExit",
    "Host",
    "build_worker",
    "compute_registry",
    "handled",
    "run",
    "run_async",
    "shut_down",
    "work",
]

COLLECT_AFTER = 10_000
"""How many more objects there are before the collector comes; Python's default is 700."""

WITHOUT_LANDLORD = (
    "a configuration that changes while a job runs, or whose job is lost, stays unnoticed"
)
"""What it means that Landlord's API is not configured; Landlord's own example names none."""

LONGEST_SHUTDOWN = 10.0
"""Seconds that an engine which never served may take to shut down."""


class ForcedExit(Exception):  # not an error: a second signal asked for it
    """A second signal ended the host before its drain was over."""


@attrs.frozen(kw_only=True)
class Host:
    """The parts of a running worker."""

    engine: WorkerEngine
    jobs: TenantJobs
    landlord: LandlordClient | None
    metrics: Metrics
    targets: Targets


def compute_registry(settings: Settings) -> ComputeRegistry:
    """Make the configured engines, and those that the worker names as default or by force.

    Raises:
        PluginError: One cannot be loaded, or refuses its settings or the defaults for tenants.
    """
    worker = settings.worker
    named = (worker.compute_provider, worker.force_compute_provider)
    sections = {**{name: {} for name in named if name}, **settings.compute}
    engines = {name: _compute_engine(name, section) for name, section in sections.items()}
    registry = ComputeRegistry(engines)
    for name in registry:
        _check_defaults(registry, name, worker.max_config_bytes)
    return registry


def _check_defaults(registry: ComputeRegistry, name: str, max_config_bytes: int) -> None:
    """Refuse at the start what every tenant's job would be held for."""
    hint = f"correct compute.{name}"
    try:
        registry.check_defaults(name)
    except ComputeRefused as error:
        raise PluginSettingsRefused(
            f"the defaults of compute engine {name} are refused: {error.message}", hint=hint
        ) from error
    size = len(json.dumps(registry.engine(name).config_defaults()))
    if size > max_config_bytes:
        raise PluginSettingsRefused(
            f"the defaults of compute engine {name} have {size} bytes, and a whole configuration"
            f" may have {max_config_bytes}",
            hint=f"{hint}, or raise worker.max_config_bytes",
        )


@asynccontextmanager
async def build_worker(
    name: str, factory: EngineFactory, settings: Settings, logger: Logger
) -> AsyncIterator[Host]:
    """Build all parts of a worker, and close them in the end.

    Args:
        name: The worker engine's name.
        factory: The worker engine's factory.
        settings: All settings.
        logger: Where everything logs.

    Raises:
        PluginError: A compute engine cannot be loaded.
        SettingsError: The worker engine does not accept its settings, or limits do not fit together.
    """
    worker = settings.worker
    registry = compute_registry(settings)
    landlord = LandlordClient(worker.landlord_api_url) if worker.landlord_api_url else None
    metrics = Metrics()
    try:
        jobs = _jobs(name, worker, registry, landlord, metrics=metrics, logger=logger)
        check_limits(jobs.limits, registry, history_retention=worker.history_retention)
        context = EngineContext(
            settings=settings.engine,
            run_job=jobs.run,
            resync=jobs.resync,
            is_wanted=jobs.is_wanted,
            logger=logger,
            host=_host_info(worker, registry),
        )
        engine = _worker_engine(name, factory, context)
        targets = Targets(registry=registry, logger=logger)
        yield Host(engine=engine, jobs=jobs, landlord=landlord, metrics=metrics, targets=targets)
    finally:
        try:
            if landlord is not None:
                await landlord.aclose()
        finally:
            await registry.aclose()


async def run(
    name: str, factory: EngineFactory, settings: Settings, logger: Logger, *, fail_fast: bool
) -> None:
    """Run a worker until a signal, then drain it.

    Raises:
        Forced: A second signal came before the drain was over.
        LandlordEnginesError: The engine refused, failed, or could not register; or the address of
            the probes is taken.
    """
    _tune_gc()
    _tell_of_descriptors(settings.worker, logger)
    control = Control()
    with handled(control, logger, settings.worker.drain_timeout):
        await work(name, factory, settings, logger, control, fail_fast=fail_fast)


def handled(
    control: Control, logger: Logger, drain_timeout: float | None = None
) -> AbstractContextManager[None]:
    """Handle signals, and report engines that block the loop or take a signal, by their names."""
    engines = {
        one.target.partition(":")[0]: f"{kind} engine {one.name}"
        for kind, group in (("worker", WORKER_ENGINES), ("compute", COMPUTE_ENGINES))
        for one in list_engines(group)
    }
    return signals(control, logger, engines=engines, drain_timeout=drain_timeout)


async def work(
    name: str,
    factory: EngineFactory,
    settings: Settings,
    logger: Logger,
    control: Control,
    *,
    fail_fast: bool,
) -> None:
    """Run a worker until it is to stop, then drain it; the signals are the caller's.

    Args:
        name: The worker engine's name.
        factory: The worker engine's factory.
        settings: All settings.
        logger: Where everything logs.
        control: Says when to stop.
        fail_fast: Give up where registering takes too long.

    Raises:
        Forced: It was to end at once before the drain was over.
        LandlordEnginesError: The engine refused, failed, or could not register; or the address of
            the probes is taken.
    """
    worker = settings.worker
    async with build_worker(name, factory, settings, logger) as host:
        _tell_start(name, host.engine.info.contract, logger)
        if host.landlord is None:
            logger.warning(
                "Landlord's API is not configured",
                setting="worker.landlord_api_url",
                consequence=WITHOUT_LANDLORD,
            )
        options = LifecycleOptions(
            drain_timeout=worker.drain_timeout,
            register_timeout=worker.register_timeout,
            registration_check_interval=worker.registration_check_interval,
            fail_fast=fail_fast,
        )
        lifecycle = EngineLifecycle(
            engine=host.engine,
            options=options,
            logger=logger,
            registered=control.registered,
            on_drain=host.jobs.drain,
        )
        probes = _probes(name, host, lifecycle, worker)
        async with host.targets.watch(), probes.serving(worker.probe_address, logger):
            await _until_drained(lifecycle, host.jobs, control, logger)


async def shut_down(engine: WorkerEngine) -> None:
    """End an engine that serves nothing, such as that of a command which only asks.

    Raises:
        EngineFailed: It does not end.
    """
    try:
        async with asyncio.timeout(LONGEST_SHUTDOWN):
            await engine.shutdown(0)
    except TimeoutError as error:
        raise EngineFailed(
            f"shutdown of worker engine {engine.info.name} did not return"
            f" within {LONGEST_SHUTDOWN:g} s",
            hint="report it to the engine's authors",
        ) from error


async def _until_drained(
    lifecycle: EngineLifecycle, jobs: TenantJobs, control: Control, logger: Logger
) -> None:
    """Run until the drain that is asked for is over, or is to be no longer waited for."""
    drained = asyncio.create_task(_drained(lifecycle, jobs, control.stop, logger))
    forced = asyncio.create_task(control.force.wait())
    ended = False
    try:
        await asyncio.wait((drained, forced), return_when=asyncio.FIRST_COMPLETED)
        ended = drained.done()
    finally:
        forced.cancel()
        drained.cancel()
        await asyncio.wait((drained,), timeout=LAST_RESORT)
    if not ended:
        raise ForcedExit
    drained.result()


def _tell_of_descriptors(worker: WorkerSettings, logger: Logger) -> None:
    """Say what the limit of open files allows, and warn where it slows jobs down."""
    files = raise_limit()
    connections = most_connections(files)
    few = connections < 2 * worker.max_concurrent_jobs
    log = logger.warning if few else logger.info
    hint = {"hint": "raise the hard limit of open files, for example to 65536"} if few else {}
    log("open files", limit=files, connections=connections, **hint)


def _tune_gc() -> None:
    """Spare jobs the garbage collector's work: left alone, it takes a tenth of their time.

    What is there by now stays, so that it need not be looked at again. Jobs leave next to nothing
    that only the collector could free, so that it may come less often.
    """
    gc.collect()
    gc.freeze()
    gc.set_threshold(COLLECT_AFTER)


async def _drained(
    lifecycle: EngineLifecycle, jobs: TenantJobs, stop: asyncio.Event, logger: Logger
) -> None:
    """Run the engine to its end, and let requests that are under way reach theirs."""
    await lifecycle.run(stop)
    with suppress(TimeoutError):
        async with asyncio.timeout_at(lifecycle.deadline):
            await jobs.wait_in_flight()
    if jobs.cut:
        logger.warning("requests to targets were cut at the drain's deadline", count=jobs.cut)


def _probes(name: str, host: Host, lifecycle: EngineLifecycle, worker: WorkerSettings) -> Probes:
    """Have everything that can be seen from outside show itself."""
    slots, metrics = host.jobs.slots, host.metrics
    probes = Probes(
        lifecycle=lifecycle,
        slots=slots,
        metrics=metrics,
        longest_wait=2 * worker.step_timeout,
        targets=lambda: host.targets.statuses,
    )
    metrics.watch_slots(slots.limit, lambda: slots.taken, lambda: slots.waiting)
    metrics.watch_engine(
        states=(EngineState, lambda: lifecycle.state),
        registrations=(RegistrationState, lambda: lifecycle.registration.state),
        seconds_left=lifecycle.seconds_left,
    )
    metrics.watch_targets(host.targets.registry, host.targets.gauge_value)
    metrics.watch_loop(probes.heartbeat.silent_for, lambda: probes.heartbeat.tasks)
    metrics.watch_log(dropped_lines)
    metrics.tell_build(version=__version__, engine=name, engine_version=_engine_version(name))
    return probes


def _engine_version(name: str) -> str:
    return next((one.version for one in list_engines(WORKER_ENGINES) if one.name == name), "")


def _tell_start(name: str, contract: int, logger: Logger) -> None:
    """Say what starts here, and what of the installation cannot be read."""
    logger.info(
        "worker starting",
        version=__version__,
        engine=name,
        engine_version=_engine_version(name),
        contract=contract,
        pid=os.getpid(),
    )
    for one in damaged():
        logger.warning("a distribution cannot be read", distribution=one.name, reason=one.reason)


def _jobs(
    name: str,
    worker: WorkerSettings,
    registry: ComputeRegistry,
    landlord: LandlordClient | None,
    *,
    metrics: Metrics,
    logger: Logger,
) -> TenantJobs:
    assert worker.compute_cache_ttl is not None, "loading the settings fills it"
    resolver = Resolver(
        registry=registry,
        landlord=landlord,
        force=worker.force_compute_provider,
        default=worker.compute_provider,
        ttl=worker.compute_cache_ttl,
        max_config_bytes=worker.max_config_bytes,
        logger=logger,
        metrics=metrics,
    )
    limits = JobLimits(
        step_timeout=worker.step_timeout,
        health_timeout=worker.health_timeout,
        hold_retry_interval=worker.hold_retry_interval,
        fail_permanently=worker.on_permanent_failure == "fail",
        max_concurrent_jobs=worker.max_concurrent_jobs,
        resync_after=worker.resync_after,
    )
    return TenantJobs(
        resolver=resolver,
        registry=registry,
        landlord=landlord,
        limits=limits,
        provider_type=name,
        logger=logger,
        metrics=metrics,
    )


def _host_info(worker: WorkerSettings, registry: ComputeRegistry) -> HostInfo:
    return HostInfo(
        version=__version__,
        step_timeout=worker.step_timeout,
        longest_carry=registry.longest_carry,
        history_retention=worker.history_retention,
        resync_after=worker.resync_after,
        drain_timeout=worker.drain_timeout,
        max_connections=most_connections(limit()),
    )


def _compute_engine(name: str, section: Mapping[str, object]) -> ComputeEngine:
    candidate, factory = load_compute_engine(name)
    try:
        with exits_as_errors():
            return factory(section)
    except ComputeRefused as error:
        raise PluginSettingsRefused(
            f"compute engine {candidate} refuses its settings: {error.message}",
            hint=f"correct compute.{name}",
        ) from error
    except PluginError:
        # It says by itself what is missing.
        raise
    except Exception as error:
        # Its text may hold a value out of the settings.
        raise PluginSettingsRefused(
            f"compute engine {candidate} cannot be made: {kind_of(error)}",
            hint=f"check compute.{name}, or report it to the authors of {candidate.distribution}",
        ) from error


def _worker_engine(name: str, factory: EngineFactory, context: EngineContext) -> WorkerEngine:
    try:
        with exits_as_errors():
            return factory.create_engine(context)
    except LandlordEnginesError:
        raise
    except Exception as error:
        raise EngineFailed(
            f"worker engine {name} cannot be made: {kind_of(error)}",
            hint=f"check workflow.{name}, or report it to the engine's authors",
        ) from error
