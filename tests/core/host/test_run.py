"""A worker in this process: its engine's version, what it says about traces, and their last spans."""

import asyncio
import sys
from collections.abc import Callable
from pathlib import Path
from types import ModuleType

import pytest

import landlord_engines_core
from landlord_engines_core import tracing
from landlord_engines_core.engine import (
    Capability,
    EngineContext,
    EngineFactory,
    EngineInfo,
    Registration,
    RegistrationState,
    Support,
    WorkerEngine,
)
from landlord_engines_core.errors import EngineFailed
from landlord_engines_core.exit_codes import ForcedExit
from landlord_engines_core.host import run_worker
from landlord_engines_core.host.run import find_version
from landlord_engines_core.settings import Address, Duration, LogSettings, Settings, WorkerSettings
from landlord_engines_core.signals import Control
from landlord_engines_stepfunctions_stub import factory
from landlord_test_target.in_memory import RecordingLogger
from landlord_test_target.installing import write_distribution

INFO = EngineInfo(name="test", contract=1, capabilities={Capability.TENANT_LOCK: Support.FULL})
NOT_INSTALLED = "traces are not exported: OpenTelemetry is not installed"


class Engine(WorkerEngine):
    """An engine that serves until its shutdown, and does something first."""

    def __init__(self, first: Callable[[], None]) -> None:
        self.first = first
        self.end = asyncio.Event()

    async def serve(self, started: Callable[[], None]) -> None:
        self.first()
        started()
        await self.end.wait()

    async def register(self) -> Registration:
        return Registration(state=RegistrationState.REGISTERED)

    async def shutdown(self, grace: float) -> None:
        self.end.set()


async def run(
    logger: RecordingLogger,
    control: Control,
    first: Callable[[], None],
    drain_timeout: float = 30.0,
) -> None:
    def create(_: EngineContext) -> WorkerEngine:
        return Engine(first)

    own = EngineFactory(info=INFO, settings_type=object, create_engine=create)
    worker = WorkerSettings(
        probe_address=Address(""),
        compute_cache_ttl=Duration(1.0),
        drain_timeout=Duration(drain_timeout),
    )
    settings = Settings(engine=None, compute={}, log=LogSettings(), worker=worker)
    await run_worker(own, settings, logger, control, fail_fast=True)


class LateRecorder:
    """A recorder whose receiver does not answer."""

    def __init__(self) -> None:
        self.deadlines: list[float] = []

    async def close(self, deadline: float) -> bool:
        self.deadlines.append(deadline - asyncio.get_running_loop().time())
        return False


async def test_a_worker_says_if_the_variables_need_what_is_not_installed(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("OTEL_TRACES_EXPORTER", "otlp")
    monkeypatch.delitem(sys.modules, "landlord_engines_core.open_telemetry", raising=False)
    monkeypatch.delattr(landlord_engines_core, "open_telemetry", raising=False)
    monkeypatch.setitem(sys.modules, "opentelemetry", None)
    logger, control = RecordingLogger(), Control()

    await run(logger, control, control.stop.set)

    assert NOT_INSTALLED in logger.events("warning")


@pytest.mark.parametrize(("drain_timeout", "longest"), [(30.0, 5.0), (2.0, 2.0)])
async def test_the_last_spans_have_some_seconds_within_the_drain(
    monkeypatch: pytest.MonkeyPatch, drain_timeout: float, longest: float
) -> None:
    recorder, logger, control = LateRecorder(), RecordingLogger(), Control()
    monkeypatch.setattr(tracing, "_recorder", recorder)

    await run(logger, control, control.stop.set, drain_timeout)

    (seconds,) = recorder.deadlines
    assert longest - 2 < seconds <= longest
    assert "the last spans were not exported in time" in logger.events("warning")


async def test_the_last_spans_of_an_engine_that_fails_are_exported(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def fail() -> None:
        raise EngineFailed("it stopped")

    recorder, logger, control = LateRecorder(), RecordingLogger(), Control()
    monkeypatch.setattr(tracing, "_recorder", recorder)

    with pytest.raises(EngineFailed, match="it stopped"):
        await run(logger, control, fail)

    (seconds,) = recorder.deadlines
    assert 0 < seconds <= 5


async def test_a_second_signal_does_not_wait_for_the_last_spans(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def force() -> None:
        control.force.set()
        raise EngineFailed("it stopped")

    recorder, logger, control = LateRecorder(), RecordingLogger(), Control()
    monkeypatch.setattr(tracing, "_recorder", recorder)

    with pytest.raises(ForcedExit):
        await run(logger, control, force)

    (seconds,) = recorder.deadlines
    assert seconds <= 0


def test_of_two_engines_of_one_name_the_loaded_one_has_its_own_version(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    module = ModuleType("acme_second")
    module.factory = factory  # type: ignore[attr-defined]
    for name, version in (("acme-first", "1.0"), ("acme-second", "2.5")):
        target = f"{name.replace('-', '_')}:factory"
        write_distribution(tmp_path, name, {"stepfunctions": target})
        metadata = tmp_path / f"{name.replace('-', '_')}-1.0.dist-info" / "METADATA"
        metadata.write_text(metadata.read_text().replace("Version: 1.0", f"Version: {version}"))
    monkeypatch.setattr(sys, "path", [str(tmp_path)])
    monkeypatch.setitem(sys.modules, "acme_second", module)

    assert find_version(factory) == "2.5"


def test_a_factory_without_an_entry_point_has_no_version(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(sys, "path", [])

    assert find_version(factory) == ""
