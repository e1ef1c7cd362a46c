import os
import subprocess
import sys
from pathlib import Path

import pytest
import structlog

from landlord_engines_core import engine as contract
from landlord_engines_core.engine import (
    Capability,
    EngineContext,
    HostInfo,
    Support,
    WorkerEngine,
)
from landlord_engines_core.errors import CapabilityNotSupported, EngineRefused
from landlord_engines_core.models import CompletedJob, ExecutionStatus, Resynced
from landlord_engines_core.steps import Steps
from landlord_engines_stepfunctions_stub import factory


async def fail_on_job(body: bytes, steps: Steps) -> ExecutionStatus:
    raise AssertionError


async def fail_on_resync(ended: CompletedJob, steps: Steps) -> Resynced:
    raise AssertionError


async def fail_if_asked(tenant: str) -> bool | None:
    raise AssertionError


@pytest.fixture
def engine() -> WorkerEngine:
    context = EngineContext(
        settings=factory.settings_type(),
        run_job=fail_on_job,
        resync=fail_on_resync,
        is_desired=fail_if_asked,
        logger=structlog.get_logger(),
        host=HostInfo(),
    )
    return factory.create_engine(context)


async def test_serve_is_refused_with_a_next_step_and_never_reports_a_start(
    engine: WorkerEngine,
) -> None:
    started: list[bool] = []

    with pytest.raises(EngineRefused, match="stub") as caught:
        await engine.serve(lambda: started.append(True))

    assert "--engine restate" in caught.value.hint
    assert not started


def test_check_is_refused(engine: WorkerEngine) -> None:
    with pytest.raises(EngineRefused, match="stub"):
        engine.check()


async def test_register_is_refused(engine: WorkerEngine) -> None:
    with pytest.raises(EngineRefused, match="stub"):
        await engine.register()


async def test_shutdown_succeeds_before_serve_and_when_repeated(engine: WorkerEngine) -> None:
    await engine.shutdown(grace=0)
    await engine.shutdown(grace=0)


def test_no_capability_is_declared_as_supported() -> None:
    assert set(factory.info.capabilities) == set(Capability)
    assert Support.FULL not in factory.info.capabilities.values()
    assert factory.info.capabilities[Capability.TENANT_LOCK] is Support.PLANNED
    assert factory.info.contract == contract.CONTRACT


async def test_planned_methods_cannot_be_called(engine: WorkerEngine) -> None:
    for call in (engine.dry_run_registration, engine.watch_registration, engine.make_latest):
        with pytest.raises(CapabilityNotSupported, match="this worker engine does not support"):
            await call()
    with pytest.raises(CapabilityNotSupported, match="this worker engine does not support"):
        await engine.move("http://old", dry_run=True)
    assert factory.local_backend is None


def test_the_host_ends_with_5_one_line_and_no_traceback(tmp_path: Path) -> None:
    host = Path(sys.executable).with_name("landlord-host")
    keep = ("PATH", "HOME", "COVERAGE_PROCESS_CONFIG", "COVERAGE_FILE")

    ended = subprocess.run(
        [host, "--engine", "stepfunctions", "--set=worker.probe_address="],
        cwd=tmp_path,
        env={name: os.environ[name] for name in keep if name in os.environ},
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )

    assert ended.returncode == 5
    complaints = [line for line in ended.stderr.splitlines() if "LE302" in line]
    assert len(complaints) == 1
    assert "--engine restate" in complaints[0]
    assert "Traceback" not in ended.stderr
