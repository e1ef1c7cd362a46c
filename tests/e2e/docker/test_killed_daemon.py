"""A Docker daemon is killed with SIGKILL during creates and updates, and all tenants converge.

    pytest -m long -s tests/e2e/docker/test_killed_daemon.py --seed 2

At the end the daemon has no container, name, volume or network of a tenant, and no container runs twice.
A killed daemon also forgets processes, shims and folders. No worker can find those through the daemon,
so the test counts them and accepts any number.
"""

import asyncio
import random
import time
from collections import Counter
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import suppress
from functools import partial
from uuid import uuid4

import attrs
import pytest
import pytest_asyncio

from landlord_engines_core.compute import ComputeRegistry, ComputeSpec
from landlord_engines_core.compute.docker.engine import DockerCompute
from landlord_engines_core.models import Outcome, Placement
from landlord_engines_core.tenants.converge import Converger
from landlord_test_target.compute_contract import retry_while_busy
from landlord_test_target.docker import TenantContainers, docker, make_images, spec
from landlord_test_target.harness import wait_for
from landlord_test_target.killable_docker import KillableDocker, run_killable_docker

# The program ends on SIGTERM, so a restarting daemon does not wait for it.
COMMAND = ("sh", "-c", "trap 'exit 0' TERM; httpd -f -p 8080 -h /www & wait")
NETWORK = "tenants"
KILLS = 20
"""Kills during an act. Kills that come after the act do not count."""


@pytest_asyncio.fixture(loop_scope="session")
async def killable_daemon(monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[KillableDocker]:
    async with run_killable_docker() as daemon:
        monkeypatch.setenv("DOCKER_HOST", daemon.host)
        make_images()
        yield daemon


@attrs.define(kw_only=True)
class Tenants:
    """Tenants on a daemon, each with the version of its last job.

    Attributes:
        lost: The removed containers that still have a running process.
    """

    daemon: KillableDocker
    compute: DockerCompute
    desired: dict[str, ComputeSpec] = attrs.field(factory=dict)
    lost: set[str] = attrs.field(factory=set)

    @property
    def converger(self) -> Converger:
        registry = ComputeRegistry({"docker": self.compute})
        return Converger(registry=registry, health_timeout=30)

    def next_spec(self, tenant: str) -> ComputeSpec:
        """Build a configuration that differs from the tenant's current one."""
        before = self.desired.get(tenant)
        version = int(str(before.config["image"])[-1]) % 3 + 1 if before is not None else 1
        self.desired[tenant] = spec(
            tenant,
            image=f"landlord-test/web:{version}",
            command=list(COMMAND),
            ports=[{"container_port": 8080}],
            volumes=[f"of-{tenant}:/data"],
            remove_volumes=True,
        )
        return self.desired[tenant]

    async def converge(self, desired: ComputeSpec) -> None:
        """Apply a configuration as the lifecycle does, until it succeeds."""

        async def once() -> None:
            await self.converger.apply("docker", desired)
            await self.converger.wait_healthy(desired.tenant, Placement("docker", desired.location))

        await retry_while_busy(once)

    async def check_all(self) -> None:
        """Check that every tenant has one right container with one program, and that nothing else exists."""
        for tenant, desired in self.desired.items():
            await self.converge(desired)
            only = TenantContainers(tenant).only_container
            assert only["Config"]["Image"] == desired.config["image"]
            assert only["Name"] == f"/landlord-tenant-{tenant}"
            again = await self.converger.apply("docker", desired)
            assert again.outcome is Outcome.UNCHANGED
        await self.check_no_other_containers()

    async def check_no_other_containers(self) -> None:
        """Check that the daemon has the tenants' containers and no others, each running once."""
        known = docker("ps", "-aq", "--no-trunc").splitlines()
        assert len(known) == len(self.desired)
        volumes = docker("volume", "ls", "-q").splitlines()
        assert sorted(volumes) == sorted(f"of-{tenant}" for tenant in self.desired)
        assert docker("network", "ls", "-q", "--filter", f"name={NETWORK}").count("\n") == 0

        async def have_all_started() -> bool:
            return self._running() == dict.fromkeys(known, 1)

        with suppress(AssertionError):
            await wait_for(have_all_started, within=20)
        self.lost |= self._running().keys() - set(known)
        assert self._running() == dict.fromkeys(known, 1)

    def _running(self) -> dict[str, int]:
        running = Counter(self.daemon.running("httpd"))
        return {
            container: count for container, count in running.items() if container not in self.lost
        }


async def measure(act: Awaitable[None]) -> float:
    """Return the seconds that an operation takes."""
    began = time.perf_counter()
    await act
    return time.perf_counter() - began


@pytest.mark.long
async def test_tenants_converge_whenever_the_daemon_is_killed(
    killable_daemon: KillableDocker,
    make_engine: Callable[..., DockerCompute],
    pytestconfig: pytest.Config,
) -> None:
    chance = random.Random(pytestconfig.getoption("seed"))
    compute = make_engine(host=killable_daemon.host, network_name=NETWORK)
    tenants = Tenants(daemon=killable_daemon, compute=compute)
    first = str(uuid4())
    # The duration of an operation determines the latest time of the kill.
    create, update = [await measure(tenants.converge(tenants.next_spec(first))) for _ in range(2)]

    killed = interrupted = 0
    while interrupted < KILLS:
        known = sorted(tenants.desired)
        is_update = len(known) > 3 or chance.random() < 0.5
        tenant = chance.choice(known) if is_update else str(uuid4())
        act = asyncio.ensure_future(tenants.converge(tenants.next_spec(tenant)))
        await asyncio.sleep(chance.uniform(0, update if is_update else create))
        killed += 1
        interrupted += not act.done()
        await killable_daemon.kill()
        await killable_daemon.start()
        await act
        await tenants.check_all()

    for tenant in list(tenants.desired):
        assert await retry_while_busy(partial(compute.destroy, tenant, ""))
        del tenants.desired[tenant]
    await tenants.check_no_other_containers()
    docker("network", "rm", NETWORK)
    figures = {
        "daemon": docker("version", "--format", "{{.Server.Version}}"),
        "killed": killed,
        "in an act": interrupted,
        "lost processes": len(tenants.lost),
        "idle shims": killable_daemon.count_shims(),
        "folders": sum(1 for _ in (killable_daemon.folder / "data" / "containers").iterdir()),
    }
    print(f"\n{figures}")  # noqa: T201  # the caller reads it
