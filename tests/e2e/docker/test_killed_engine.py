"""A Docker engine killed with -9 in the midst of creates and updates: all converge, nothing is left.

By name only, `pytest -m long tests/e2e/docker/test_killed_engine.py`: once in some runs Docker 20.10
itself loses a process of a container that it has removed, which this shows as a failure.
"""

import asyncio
import random
import time
from collections.abc import AsyncIterator, Callable
from functools import partial
from uuid import uuid4

import attrs
import pytest
import pytest_asyncio

from landlord_engines_core.compute import ComputeRegistry, ComputeSpec
from landlord_engines_core.compute.docker.engine import DockerCompute
from landlord_engines_core.models import Outcome, Placement
from landlord_engines_core.tenants.acts import Acts
from landlord_engines_core.tenants.converge import Converger
from landlord_test_target.compute_contract import insisted
from landlord_test_target.docker import Holdings, docker, make_images, spec
from landlord_test_target.harness import wait_for
from landlord_test_target.own_docker import OwnDocker, own_docker

# It ends when it is asked to, so that an engine which comes back does not wait for it.
COMMAND = ("sh", "-c", "trap 'exit 0' TERM; httpd -f -p 8080 -h /www & wait")


@pytest_asyncio.fixture(loop_scope="session")
async def killable(monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[OwnDocker]:
    async with own_docker() as engine:
        monkeypatch.setenv("DOCKER_HOST", engine.host)
        make_images()
        yield engine


@attrs.define(kw_only=True)
class Tenants:
    """Tenants on an engine, each at the version that it last asked for."""

    compute: DockerCompute
    wanted: dict[str, ComputeSpec] = attrs.field(factory=dict)

    @property
    def converger(self) -> Converger:
        registry = ComputeRegistry({"docker": self.compute})
        return Converger(registry=registry, acts=Acts(limit=30), health_timeout=30)

    def next(self, tenant: str) -> ComputeSpec:
        """A configuration that the tenant does not have yet."""
        before = self.wanted.get(tenant)
        version = int(str(before.config["image"])[-1]) % 3 + 1 if before is not None else 1
        image = f"landlord-test/web:{version}"
        ports = [{"container_port": 8080}]
        self.wanted[tenant] = spec(tenant, image=image, command=list(COMMAND), ports=ports)
        return self.wanted[tenant]

    async def bring(self, wanted: ComputeSpec) -> None:
        """Do what the lifecycle does, until it succeeds."""

        async def once() -> None:
            await self.converger.apply("docker", wanted)
            await self.converger.healthy(wanted.tenant, Placement("docker", wanted.place))

        await insisted(once)

    async def all_right(self, engine: OwnDocker) -> None:
        """Every tenant has one container, the right one, and there is no process beside them."""
        for tenant, wanted in self.wanted.items():
            await self.bring(wanted)
            only = Holdings(tenant).only
            assert only["Config"]["Image"] == wanted.config["image"]
            assert only["Name"] == f"/landlord-tenant-{tenant}"
            again = await self.converger.apply("docker", wanted)
            assert again.outcome is Outcome.UNCHANGED
        assert len(docker("ps", "-aq").splitlines()) == len(self.wanted)
        await _processes(engine, len(self.wanted))


async def _processes(engine: OwnDocker, tenants: int) -> None:
    """Wait until there are the processes of so many tenants.

    What keeps a container, the shim, is Docker's own: one of a start that was cut may stay, idle.
    """

    async def look() -> bool:
        return engine.commands().count("httpd") == tenants

    try:
        await wait_for(look, within=20)
    except AssertionError as error:
        raise AssertionError(f"{tenants} tenants, but {engine.commands()}") from error


@pytest.mark.long
@pytest.mark.parametrize(("kills", "seed"), [(5, 2), (20, 1)], ids=["5", "20"])
async def test_tenants_converge_whenever_the_engine_is_killed(
    killable: OwnDocker, engines: Callable[..., DockerCompute], kills: int, seed: int
) -> None:
    chance = random.Random(seed)
    tenants = Tenants(compute=engines(host=killable.host))
    first = str(uuid4())
    began = time.perf_counter()
    await tenants.bring(tenants.next(first))
    await tenants.bring(tenants.next(first))
    # For one act; it sets how late the engine is killed, whatever this machine is.
    usual = (time.perf_counter() - began) / 2

    for _ in range(kills):
        known = sorted(tenants.wanted)
        update = len(known) > 3 or chance.random() < 0.5
        tenant = chance.choice(known) if update else str(uuid4())
        act = asyncio.ensure_future(tenants.bring(tenants.next(tenant)))
        await asyncio.sleep(chance.uniform(0, usual))
        await killable.kill()
        await killable.start()
        await act
        await tenants.all_right(killable)

    for tenant in tenants.wanted:
        assert await insisted(partial(tenants.compute.destroy, tenant, ""))
    assert docker("ps", "-aq") == ""
    assert list((killable.folder / "data" / "containers").iterdir()) == []
    await _processes(killable, 0)
