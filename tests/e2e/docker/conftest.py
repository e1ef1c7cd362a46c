"""A real Docker daemon for the tests in this folder; without one they fail."""

import subprocess
from collections.abc import AsyncIterator, Callable, Iterator
from pathlib import Path
from uuid import uuid4

import pytest
import pytest_asyncio

from landlord_engines_core.compute.docker.engine import DockerCompute
from landlord_test_target import compute_engines
from landlord_test_target.docker import SETTINGS, TenantContainers, make_images

MakeEngine = Callable[..., DockerCompute]


@pytest.fixture(scope="session", autouse=True)
def docker_daemon() -> None:
    """Start the daemon unless it runs; it is left running for the next tests."""
    subprocess.run(["sh", str(Path(__file__).with_name("daemon.sh"))], check=True, timeout=300)
    make_images()


@pytest_asyncio.fixture(loop_scope="session")
async def make_engine() -> AsyncIterator[MakeEngine]:
    """A function that creates a compute engine without memory of earlier ones, as in a new process."""
    created: list[DockerCompute] = []

    def make(reached: Callable[[str], None] = lambda _: None, **section: object) -> DockerCompute:
        engine = compute_engines.docker_engine({**SETTINGS, **section}, reached=reached)
        created.append(engine)
        return created[-1]

    yield make
    for engine in created:
        await engine.aclose()


@pytest.fixture
def engine(make_engine: MakeEngine) -> DockerCompute:
    return make_engine()


@pytest.fixture
def tenant() -> Iterator[TenantContainers]:
    """A new tenant for each test."""
    containers = TenantContainers(str(uuid4()))
    yield containers
    containers.remove_all()
