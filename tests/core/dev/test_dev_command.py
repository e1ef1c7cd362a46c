"""`landlord-host dev` without Restate: with the example's backend, and with a failing one."""

import os
import signal
import sys
from collections.abc import Callable, Iterator
from contextlib import ExitStack, closing
from pathlib import Path

import pytest

from landlord_test_target.forks import Host, fork_piped_host

HOST = Path(sys.executable).with_name("landlord-host")

ENGINE = """
import asyncio
from contextlib import asynccontextmanager
import attrs
from landlord_engines_core.engine import (
    Capability, EngineFactory, EngineInfo, LocalBackend, Registration, RegistrationState, Support,
    WorkerEngine,
)

@attrs.frozen(kw_only=True)
class Settings:
    mode: str = ""

class Engine(WorkerEngine):
    def __init__(self, context):
        self.registered = asyncio.Event()

    async def serve(self, started):
        started()
        await self.registered.wait()
        raise ZeroDivisionError

    async def register(self):
        self.registered.set()
        return Registration(state=RegistrationState.REGISTERED)

    async def shutdown(self, grace):
        pass

@asynccontextmanager
async def local_backend(settings, folder):
    try:
        print("starts", flush=True)
        if settings.mode == "hangs":
            await asyncio.Event().wait()
        yield LocalBackend(settings={}, dispatcher=None)
    finally:
        print("ended", flush=True)

@asynccontextmanager
async def other(settings, folder):
    print("the other one", flush=True)
    async with local_backend(settings, folder) as backend:
        yield backend

factory = EngineFactory(
    info=EngineInfo(name="own", contract=1, capabilities={Capability.TENANT_LOCK: Support.FULL}),
    settings_type=Settings,
    create_engine=Engine,
    local_backend=local_backend,
    other_local_backends={"other": other, "another": other},
)
"""

Start = Callable[..., Host]


@pytest.fixture
def dev(tmp_path: Path) -> Iterator[Start]:
    """Start the command with an engine; its temporary files are in the test's own folder."""
    (tmp_path / "own_engine.py").write_text(ENGINE)
    info = tmp_path / "own-1.0.dist-info"
    info.mkdir()
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: own\nVersion: 1.0\n")
    (info / "entry_points.txt").write_text("[landlord.worker_engines]\nown = own_engine:factory\n")
    (tmp_path / "tmp").mkdir()
    environment = {**os.environ, "TMPDIR": str(tmp_path / "tmp")}
    with ExitStack() as running:

        def start(engine: str, *arguments: str) -> Host:
            command = (str(HOST), f"--engine={engine}", *arguments)
            host = fork_piped_host(command, tmp_path, environment)
            running.enter_context(closing(host))
            return host

        yield start


def test_the_demo_needs_no_restate(dev: Start, tmp_path: Path) -> None:
    process = dev("sqlite", "dev", "--demo")

    output, errors = process.communicate(timeout=120)

    assert process.returncode == 0, errors
    assert [line.split()[2] for line in output.splitlines()] == [
        "create:",
        "update:",
        "the",
        "its",
        "a",
        "delete:",
    ]
    assert list((tmp_path / "tmp").iterdir()) == []


def test_dev_with_an_engine_without_a_local_backend_is_an_error(dev: Start) -> None:
    process = dev("stepfunctions", "dev")

    _, errors = process.communicate(timeout=60)

    assert process.returncode == 5
    assert "LE303" in errors
    assert "has no local backend" in errors


def test_a_backend_is_chosen_by_its_name(dev: Start) -> None:
    process = dev("own", "dev", "--backend=other")

    output, _ = process.communicate(timeout=60)

    lines = output.splitlines()
    assert (lines[:2], lines[-1]) == (["the other one", "starts"], "ended")


def test_an_error_for_an_unknown_backend_lists_the_known_ones(dev: Start) -> None:
    process = dev("own", "dev", "--backend=third")

    output, errors = process.communicate(timeout=60)

    assert process.returncode == 5
    assert output == ""
    assert "LE303" in errors
    assert "no local backend 'third'" in errors
    assert "another, other" in errors


def test_a_failing_worker_ends_the_whole_dev_command(dev: Start, tmp_path: Path) -> None:
    # `dev` uses the operator's section of a compute engine unchanged.
    process = dev("own", f"--set=compute.process.folder={tmp_path / 'tenants'}", "dev")

    output, errors = process.communicate(timeout=60)

    assert process.returncode == 3
    assert "LE301" in errors
    assert output.splitlines()[-1] == "ended"
    assert list((tmp_path / "tmp").iterdir()) == []


def test_a_signal_ends_a_backend_during_its_start(dev: Start, tmp_path: Path) -> None:
    process = dev("own", "--set=workflow.own.mode=hangs", "dev")
    assert process.stdout.readline() == "starts\n"

    process.send_signal(signal.SIGTERM)
    output, errors = process.communicate(timeout=60)

    assert (process.returncode, errors) == (0, "")
    assert output == "ended\n"
    assert list((tmp_path / "tmp").iterdir()) == []
