"""Fixtures of the end-to-end tests: one restate-server and one target for each test process."""

import subprocess
import sys
from collections.abc import AsyncIterator, Iterator
from contextlib import aclosing
from pathlib import Path

import aiohttp
import pytest
import pytest_asyncio

from landlord_engines_restate.local import server as local_server
from landlord_engines_restate.local.binary import server_binary
from landlord_engines_restate.local.server import RestateServer
from landlord_test_target.harness import Harness, Target
from landlord_test_target.target import target_server

# The default is 30 s. A restate-server on a busy machine replays its log for longer (seen at a load of
# twenty on two cores).
local_server.START_TIMEOUT = 180.0

ROOT = Path(__file__).parents[2]
HERE = Path(__file__).parent

MEASURED = (
    "docker/test_adoption.py",
    "docker/test_cancellation.py",
    "docker/test_connection.py",
    "docker/test_containers.py",
    "docker/test_contract.py",
    "docker/test_pulls.py",
    "docker/test_references.py",
    "docker/test_removal.py",
    "docker/test_restate_container.py",
    "docker/test_restore.py",
    "docker/test_updates.py",
    "docker/test_volumes.py",
    "test_bad_jobs.py",
    "test_dev.py",
    "test_frozen_worker.py",
    "test_move.py",
    "test_order.py",
    "test_registration.py",
    "test_resync.py",
    "test_tenant_lock.py",
    "test_tls.py",
)
"""The files with tests that reach lines which no test without a server does."""


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption("--bodies", type=int, default=40, help="how many bodies test_fuzz.py sends")
    parser.addoption("--kills", type=int, default=4, help="how many kills test_faults.py does")
    parser.addoption("--freezes", type=int, default=1, help="how many workers it freezes")
    parser.addoption(
        "--overload", type=int, default=60, help="how many jobs test_overload.py sends"
    )
    parser.addoption("--burst", type=int, default=200, help="how many test_descriptors.py sends")
    parser.addoption(
        "--cases", type=int, default=2, help="how many test_killed_job_campaign.py runs"
    )
    parser.addoption(
        "--step-timeout", type=float, default=4.0, help="its workers' step_timeout in s"
    )
    parser.addoption(
        "--records", type=Path, default=None, help="the folder for its records of cases"
    )
    parser.addoption("--operations", type=int, default=20, help="how many it has asked for")
    parser.addoption("--rolls", type=int, default=1, help="how many test_shared_address.py does")
    parser.addoption("--stride", type=int, default=0, help="test_every_point.py takes each nth")
    parser.addoption("--seed", type=int, default=1, help="which bodies, load and faults")


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    measured = {HERE / name for name in MEASURED}
    for item in items:
        if HERE in item.path.parents:
            item.add_marker(pytest.mark.asyncio(loop_scope="session"), append=False)
            if item.path not in measured:
                item.add_marker("unmeasured")
    # The first tests start what all of them share.
    items.sort(key=lambda item: item.get_closest_marker("unmeasured") is not None)


@pytest_asyncio.fixture(scope="session", loop_scope="session")
async def restate(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[RestateServer]:
    server = RestateServer(binary=await server_binary(), folder=tmp_path_factory.mktemp("restate"))
    await server.start()
    yield server
    await server.stop()


@pytest_asyncio.fixture(loop_scope="session")
async def dedicated_restate(tmp_path: Path) -> AsyncIterator[RestateServer]:
    """A restate-server that a test may stop, wipe and start again."""
    server = RestateServer(binary=await server_binary(), folder=tmp_path / "restate")
    await server.start()
    yield server
    await server.stop()


@pytest.fixture(scope="session")
def target_url(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    with target_server(tmp_path_factory.mktemp("target")) as url:
        yield url


@pytest_asyncio.fixture(loop_scope="session")
async def http() -> AsyncIterator[aiohttp.ClientSession]:
    async with aiohttp.ClientSession() as session:
        yield session


@pytest.fixture(scope="session")
def wheels(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Build each distribution's wheel into a folder that pip can install from."""
    folder = tmp_path_factory.mktemp("wheels")
    build = (sys.executable, "-m", "build", "--no-isolation", "--wheel", "--outdir", str(folder))
    for name in ("core", "restate", "stepfunctions_stub"):
        command = [*build, str(ROOT / f"landlord_engines_{name}")]
        subprocess.run(command, check=True, stdout=subprocess.DEVNULL)
    return folder


@pytest.fixture
def target(target_url: str, http: aiohttp.ClientSession) -> Target:
    return Target(url=target_url, http=http)


@pytest_asyncio.fixture(loop_scope="session")
async def harness(
    restate: RestateServer, target: Target, http: aiohttp.ClientSession, tmp_path: Path
) -> AsyncIterator[Harness]:
    async with aclosing(
        Harness(restate=restate, target=target, http=http, folder=tmp_path)
    ) as harness:
        yield harness


@pytest_asyncio.fixture(loop_scope="session")
async def second_harness(
    restate: RestateServer, target: Target, http: aiohttp.ClientSession, tmp_path: Path
) -> AsyncIterator[Harness]:
    """A second service name with its own workers, on the same restate-server."""
    async with aclosing(
        Harness(restate=restate, target=target, http=http, folder=tmp_path)
    ) as harness:
        yield harness


@pytest_asyncio.fixture(loop_scope="session")
async def dedicated_harness(
    dedicated_restate: RestateServer, target: Target, http: aiohttp.ClientSession, tmp_path: Path
) -> AsyncIterator[Harness]:
    """A `Harness` on a separate restate-server."""
    harness = Harness(restate=dedicated_restate, target=target, http=http, folder=tmp_path)
    yield harness
    await harness.aclose()
