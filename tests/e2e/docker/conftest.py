"""A real Docker daemon for the tests in this folder; without one they fail."""

from collections.abc import AsyncIterator, Callable, Iterator
from uuid import uuid4

import pytest
import pytest_asyncio

from landlord_engines_core.compute.docker.engine import DockerCompute
from landlord_test_target import compute_engines
from landlord_test_target.docker import SETTINGS, TenantContainers, make_images, start_daemon

Engines = Callable[..., DockerCompute]


@pytest.fixture(scope="session", autouse=True)
def docker_engine() -> None:
    start_daemon()
    make_images()


@pytest_asyncio.fixture(loop_scope="session")
async def engines() -> AsyncIterator[Engines]:
    """A factory of compute engines, each as in a new process."""
    made: list[DockerCompute] = []

    def make(reached: Callable[[str], None] = lambda _: None, **section: object) -> DockerCompute:
        engine = compute_engines.docker_engine({**SETTINGS, **section}, reached=reached)
        made.append(engine)
        return made[-1]

    yield make
    for engine in made:
        await engine.aclose()


@pytest.fixture
def engine(engines: Engines) -> DockerCompute:
    return engines()


@pytest.fixture
def tenant() -> Iterator[TenantContainers]:
    """A new tenant for each test."""
    holdings = TenantContainers(str(uuid4()))
    yield holdings
    holdings.remove_all()
