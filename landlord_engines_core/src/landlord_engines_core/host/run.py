"""Running a worker: it starts, serves until it is stopped, and finishes its requests."""

import asyncio
import os
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress

import attrs

from landlord_engines_core import __version__
from landlord_engines_core.catalog import (
    WORKER_ENGINES,
    Candidate,
    list_damaged,
    list_engines,
)
from landlord_engines_core.engine import EngineFactory, RegistrationState
from landlord_engines_core.exit_codes import ForcedExit
from landlord_engines_core.host.process import handle_signals, raise_file_limit, tune_gc
from landlord_engines_core.host.worker import WorkerParts, build_worker
from landlord_engines_core.lifecycle import EngineLifecycle, EngineState, LifecycleOptions
from landlord_engines_core.logs import Logger, count_dropped_lines
from landlord_engines_core.probes import Probes
from landlord_engines_core.settings import Settings, WorkerSettings
from landlord_engines_core.signals import LAST_RESORT, Control
from landlord_engines_core.tracing import start_export, stop_export

__all__ = ["NO_LANDLORD_WARNING", "find_version", "run_process", "run_worker"]

NO_LANDLORD_WARNING = (
    "a configuration that changes while a job runs, or whose job is lost, stays unnoticed"
)
"""The consequence of a missing ``worker.landlord_api_url``; Landlord's example has none."""

LAST_EXPORT = 5.0
"""Seconds for the export of the last spans at most: their receiver may be away."""


async def run_process(
    factory: EngineFactory, settings: Settings, logger: Logger, *, fail_fast: bool
) -> None:
    """Run a worker until a signal, then drain it.

    Raises:
        ForcedExit: A second signal came before the drain was over.
        LandlordEnginesError: The engine refused, failed, or could not register; or the address of
            the probes is taken.
    """
    tune_gc()
    raise_file_limit(settings.worker.max_concurrent_jobs, logger)
    control = Control()
    with handle_signals(control, logger, settings.worker.drain_timeout):
        await run_worker(factory, settings, logger, control, fail_fast=fail_fast)


async def run_worker(
    factory: EngineFactory,
    settings: Settings,
    logger: Logger,
    control: Control,
    *,
    fail_fast: bool,
) -> None:
    """Run a worker until ``control`` stops it, then drain it. The caller handles signals.

    Args:
        factory: The worker engine's factory.
        settings: All settings.
        logger: The logger of all parts.
        control: Stops the worker.
        fail_fast: Whether to give up if registering takes too long.

    Raises:
        ForcedExit: ``control`` ended the worker before the drain was over.
        LandlordEnginesError: The engine refused, failed, or could not register; or the address of
            the probes is taken.
    """
    if not start_export():
        logger.warning(
            "traces are not exported: OpenTelemetry is not installed",
            hint="pip install 'landlord-engines-core[otel]'",
        )
    async with build_worker(factory, settings, logger) as parts:
        worker = _Worker(
            parts=parts,
            engine_version=find_version(factory),
            settings=settings.worker,
            control=control,
            logger=logger,
            lifecycle=_build_lifecycle(
                parts, settings.worker, control, logger, fail_fast=fail_fast
            ),
        )
        # Probes answer before the engine listens, so that a start that hangs is seen.
        async with worker.start():
            await worker.run_unless_forced()


@attrs.frozen(kw_only=True)
class _Worker:
    """One worker while it runs."""

    parts: WorkerParts
    engine_version: str
    settings: WorkerSettings
    control: Control
    logger: Logger
    lifecycle: EngineLifecycle

    @asynccontextmanager
    async def start(self) -> AsyncIterator[None]:
        """Watch the targets and answer probes for as long as this is entered."""
        self._log_start()
        probes = self._build_probes()
        self._watch_metrics(probes)
        async with (
            self.parts.targets.watch(),
            probes.serving(self.settings.probe_address, self.logger),
        ):
            yield

    async def run_unless_forced(self) -> None:
        """Serve and finish, unless ``control`` ends the worker at once.

        Raises:
            ForcedExit: ``control`` ended the worker.
        """
        running = asyncio.create_task(self._serve_and_finish())
        forced = asyncio.create_task(self.control.force.wait())
        has_ended = False
        try:
            await asyncio.wait((running, forced), return_when=asyncio.FIRST_COMPLETED)
            has_ended = running.done()
        finally:
            forced.cancel()
            running.cancel()
            # An engine may ignore the cancellation: it gets no more time than this.
            await asyncio.wait((running,), timeout=LAST_RESORT)
        if not has_ended:
            raise ForcedExit
        running.result()

    async def _serve_and_finish(self) -> None:
        try:
            await self.lifecycle.run(self.control.stop)
            await self._finish_requests()
        finally:
            await self._export_last_spans()

    async def _finish_requests(self) -> None:
        """Wait for requests to targets that are under way, until the drain's deadline."""
        with suppress(TimeoutError):
            async with asyncio.timeout_at(self.lifecycle.deadline):
                await self.parts.jobs.wait_in_flight()
        if self.parts.jobs.cut:
            self.logger.warning(
                "requests to targets were cut at the drain's deadline", count=self.parts.jobs.cut
            )

    async def _export_last_spans(self) -> None:
        """Export the remaining spans, within the drain, unless a second signal came."""
        now = asyncio.get_running_loop().time()
        latest = now + (0.0 if self.control.force.is_set() else LAST_EXPORT)
        if not await stop_export(min(latest, self.lifecycle.deadline or latest)):
            self.logger.warning("the last spans were not exported in time")

    def _log_start(self) -> None:
        self.logger.info(
            "worker starting",
            version=__version__,
            engine=self.parts.info.name,
            engine_version=self.engine_version,
            contract=self.parts.info.contract,
            pid=os.getpid(),
        )
        for distribution in list_damaged():
            self.logger.warning(
                "a distribution cannot be read",
                distribution=f"{distribution.name} {distribution.version}",
                reason=distribution.reason,
            )
        if self.parts.landlord is None:
            self.logger.warning(
                "Landlord's API is not configured",
                setting="worker.landlord_api_url",
                consequence=NO_LANDLORD_WARNING,
            )

    def _build_probes(self) -> Probes:
        return Probes(
            lifecycle=self.lifecycle,
            slots=self.parts.jobs.slots,
            metrics=self.parts.metrics,
            longest_wait=2 * self.settings.step_timeout,
            targets=lambda: self.parts.targets.statuses,
        )

    def _watch_metrics(self, probes: Probes) -> None:
        """Let the metrics read the state of the worker's parts."""
        metrics, targets, lifecycle = self.parts.metrics, self.parts.targets, self.lifecycle
        slots = self.parts.jobs.slots
        metrics.worker.watch_slots(slots.limit, lambda: slots.taken, lambda: slots.waiting)
        metrics.worker.watch_engine(
            states=(EngineState, lambda: lifecycle.state),
            registrations=(RegistrationState, lambda: lifecycle.registration.state),
            seconds_left=lifecycle.seconds_left,
        )
        metrics.engines.watch_targets(targets.registry, targets.gauge_value)
        metrics.worker.watch_loop(probes.heartbeat.silent_for, lambda: probes.heartbeat.tasks)
        metrics.worker.watch_log(count_dropped_lines)
        name = self.parts.info.name
        metrics.worker.set_build(
            version=__version__, engine=name, engine_version=self.engine_version
        )


def _build_lifecycle(
    parts: WorkerParts,
    worker: WorkerSettings,
    control: Control,
    logger: Logger,
    *,
    fail_fast: bool,
) -> EngineLifecycle:
    options = LifecycleOptions(
        drain_timeout=worker.drain_timeout,
        register_timeout=worker.register_timeout,
        registration_check_interval=worker.registration_check_interval,
        fail_fast=fail_fast,
    )
    return EngineLifecycle(
        info=parts.info,
        engine=parts.engine,
        options=options,
        logger=logger,
        registered=control.registered,
        on_drain=parts.jobs.drain,
    )


def find_version(factory: EngineFactory) -> str:
    """Find the version of the distribution that offers a loaded factory; empty for an unknown one.

    Distributions may offer engines of the same name, so that a name is not enough.
    """
    versions = (
        engine.version for engine in list_engines(WORKER_ENGINES) if _leads_to(engine, factory)
    )
    return next(versions, "")


def _leads_to(engine: Candidate, factory: EngineFactory) -> bool:
    module, _, attribute = engine.target.partition(":")
    return getattr(sys.modules.get(module), attribute, None) is factory
