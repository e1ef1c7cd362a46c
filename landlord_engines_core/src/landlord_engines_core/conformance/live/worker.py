"""A worker of the live tier: the engine with the host's lifecycle and signals, and scripted jobs."""

import asyncio
import sys
from collections.abc import Awaitable, Callable, Mapping
from pathlib import Path

import attrs

from landlord_engines_core.conformance.live.jobs import ScriptedJobs
from landlord_engines_core.conformance.live.ledger import Ledger
from landlord_engines_core.conformance.settings import load_settings
from landlord_engines_core.engine import (
    Capability,
    EngineContext,
    EngineFactory,
    HostInfo,
    Registration,
    WorkerEngine,
)
from landlord_engines_core.errors import EngineRefused, LandlordEnginesError
from landlord_engines_core.exit_codes import ExitCode
from landlord_engines_core.host.process import handle_signals
from landlord_engines_core.lifecycle import EngineLifecycle, LifecycleOptions
from landlord_engines_core.logs import Logger, configure
from landlord_engines_core.plugins import load_worker_engine
from landlord_engines_core.signals import LAST_RESORT, Control, run_async

__all__ = ["LONGEST_CARRY", "RESYNC_AFTER", "WorkerOptions", "run_worker"]

RESYNC_AFTER = 1.0
"""Seconds after a job for its resync, if the engine has that capability."""

LONGEST_CARRY = 2.0
"""Seconds for which a scripted request goes on after a cancellation, at most."""

STEP_TIMEOUT = 60.0


@attrs.frozen(kw_only=True)
class WorkerOptions:
    """Options of a worker.

    Attributes:
        engine: The name of the engine.
        settings: The engine's settings.
        ledger: The file of the ledger.
        number: The worker's number.
    """

    engine: str
    settings: Mapping[str, str]
    ledger: Path
    number: int
    drain_timeout: float


def run_worker(options: WorkerOptions) -> None:
    """Run a worker until a signal, in a process of its own."""
    _, factory = load_worker_engine(options.engine)
    ledger = Ledger(options.ledger)
    logger = configure(level="debug", form="json")
    try:
        code = run_async(_run(factory, options, ledger, logger))
    except LandlordEnginesError as error:
        ledger.write("worker failed", worker=options.number, code=error.code, error=str(error))
        code = ExitCode.REFUSED if isinstance(error, EngineRefused) else ExitCode.FAILED
    sys.exit(code)


async def _run(
    factory: EngineFactory, options: WorkerOptions, ledger: Ledger, logger: Logger
) -> int:
    jobs = ScriptedJobs(ledger=ledger, worker=options.number)
    has_resync = factory.info.supports(Capability.RESYNC)
    context = EngineContext(
        settings=load_settings(factory, options.settings),
        run_job=jobs.run,
        resync=jobs.resync,
        is_desired=_know_nothing,
        logger=logger,
        host=HostInfo(
            step_timeout=STEP_TIMEOUT,
            longest_carry=LONGEST_CARRY,
            resync_after=RESYNC_AFTER if has_resync else 0.0,
            drain_timeout=options.drain_timeout,
        ),
    )
    created = factory.create_engine(context)
    engine = _Watched(engine=created, ledger=ledger, number=options.number)
    if factory.info.supports(Capability.DRY_RUN):
        await engine.note("dry run", engine.dry_run_registration())
    control = Control()
    lifecycle = EngineLifecycle(
        info=factory.info,
        engine=engine,
        options=LifecycleOptions(
            drain_timeout=options.drain_timeout,
            register_timeout=30.0,
            registration_check_interval=3600.0,
            fail_fast=True,
        ),
        logger=logger,
        registered=control.registered,
        on_drain=lambda _: engine.write("draining"),
    )
    with handle_signals(control, logger, options.drain_timeout):
        noting = asyncio.create_task(_confirm(engine, factory, control))
        try:
            return await _serve(lifecycle, control)
        finally:
            noting.cancel()


async def _confirm(engine: "_Watched", factory: EngineFactory, control: Control) -> None:
    """Once the worker is registered, register again and look at the registration."""
    await control.registered.wait()
    await engine.note("register again", engine.register())
    if factory.info.supports(Capability.WATCH):
        await engine.note("watch", engine.watch_registration())
    engine.write("registered")


async def _serve(lifecycle: EngineLifecycle, control: Control) -> int:
    running = asyncio.create_task(lifecycle.run(control.stop))
    forced = asyncio.create_task(control.force.wait())
    await asyncio.wait((running, forced), return_when=asyncio.FIRST_COMPLETED)
    forced.cancel()
    if running.done():
        running.result()
        return ExitCode.DRAINED
    running.cancel()
    await asyncio.wait((running,), timeout=LAST_RESORT)
    return ExitCode.FORCED


@attrs.frozen(kw_only=True)
class _Watched(WorkerEngine):
    """The engine under test, with notes of its calls in the ledger."""

    engine: WorkerEngine
    ledger: Ledger
    number: int

    def write(self, event: str, **facts: str) -> None:
        """Write an event of this worker."""
        self.ledger.write(event, worker=self.number, **facts)

    async def note(self, event: str, call: Awaitable[Registration]) -> None:
        """Note what a call returns, or how it fails."""
        try:
            registration = await call
        except LandlordEnginesError as error:
            self.write(event, error=str(error))
        else:
            self.write(event, state=registration.state, detail=registration.detail)

    async def serve(self, started: Callable[[], None]) -> None:
        """Serve, and note each call of ``started``."""

        def note_started() -> None:
            self.write("started")
            started()

        await self.engine.serve(note_started)
        self.write("serve returned")

    async def register(self) -> Registration:
        """Register."""
        return await self.engine.register()

    async def shutdown(self, grace: float) -> None:
        """Shut down."""
        await self.engine.shutdown(grace)
        self.write("shutdown returned")

    async def dry_run_registration(self) -> Registration:
        """Try a registration."""
        return await self.engine.dry_run_registration()

    async def watch_registration(self) -> Registration:
        """Look at the registration."""
        return await self.engine.watch_registration()


async def _know_nothing(_: str) -> bool | None:
    return None
