from collections.abc import AsyncIterator, Callable, Iterator

import attrs
import pytest
from aiobotocore.config import AioConfig
from botocore.loaders import create_loader

from landlord_engines_core.compute.ecs import sessions
from landlord_engines_core.compute.ecs.engine import EcsCompute
from landlord_test_target import aws
from landlord_test_target.aws import Ecs
from landlord_test_target.compute_engines import ecs_engine


@pytest.fixture(scope="session")
def environment() -> Iterator[None]:
    with pytest.MonkeyPatch.context() as patch:
        for key, value in aws.ENVIRONMENT.items():
            patch.setenv(key, value)
        yield


@pytest.fixture(scope="session", autouse=True)
def service_descriptions() -> Iterator[None]:
    """Have botocore read its descriptions of AWS's services once, and not in each test."""
    loader = create_loader()
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("botocore.session.create_loader", lambda _: loader)
        yield


@pytest.fixture(scope="session", autouse=True)
def patience() -> Iterator[None]:
    """Give connections a minute: at a load of twenty, many at once took more than the worker's 5 s."""
    config = sessions._CONFIG.merge(AioConfig(connect_timeout=60))
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(sessions, "_CONFIG", config)
        yield


@pytest.fixture(scope="session")
def server(environment: None) -> Iterator[aws.Aws]:
    with aws.run_moto() as started:
        yield started


Make = Callable[..., Ecs]


@pytest.fixture
async def make(server: aws.Aws) -> AsyncIterator[Make]:
    engines: list[EcsCompute] = []

    def build(**settings: object) -> Ecs:
        points: list[str] = []
        defaults = {"endpoint_url": server.endpoint, "rollout_timeout": 5, **settings}
        engine = attrs.evolve(ecs_engine(defaults), reached=points.append)
        engines.append(engine)
        return Ecs(server, engine, points)

    yield build
    for engine in engines:
        await engine.aclose()


@pytest.fixture
def ecs(make: Make) -> Ecs:
    return make()
