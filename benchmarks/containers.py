"""Tenants on a real Docker daemon: many at once, beside a target that hangs, and updated under load.

Run it with `nox -s bench -- --docker`; with `--short` it takes a minute. The lifecycle runs in this
process without a backend, so only the compute engine and Docker are measured. If Docker does not
complete a request, the benchmark exits with 1 and says how to remove the leftovers.
"""

import asyncio
import json
import statistics
import time
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from uuid import uuid4

import aiohttp
import attrs

from landlord_engines_core.compute.docker.engine import DockerCompute
from landlord_engines_core.errors import Transient
from landlord_engines_core.models import Record
from landlord_engines_core.retries import retry
from landlord_engines_core.tenants import TenantJobs
from landlord_test_target.compute_engines import docker_engine
from landlord_test_target.docker import WEB, make_images, start_daemon
from landlord_test_target.in_memory import InMemorySteps, build_tenant_jobs
from landlord_test_target.waiting import free_port, wait_for

__all__ = ["LONG", "SHORT", "Plan", "measure"]

# It exits on SIGTERM, as a tenant's program should.
_COMMAND = ["sh", "-c", "trap 'exit 0' TERM; httpd -f -p 8080 -h /www & wait"]
_SERVED = 50
"""The number of answered requests between two updates."""
_WITHIN = 180.0
"""Seconds for a job; several times the slowest job's."""
_PREFIX = "landlord-bench"
_STUCK = f"""The Docker engine did not carry out a job within {_WITHIN:.0f} s. To remove what is left:
docker ps -aq --filter label={_PREFIX}.owner=landlord | xargs -r docker rm -f"""
_WEB = {"image": f"{WEB}:1", "command": _COMMAND}


@attrs.frozen(kw_only=True)
class Plan:
    """The size of the benchmark.

    Attributes:
        tenants: The number of tenants with a container.
        at_once: The number of simultaneous jobs.
        updates: The number of updates under load.
    """

    tenants: int
    at_once: int
    updates: int


LONG = Plan(tenants=200, at_once=16, updates=50)
SHORT = Plan(tenants=32, at_once=16, updates=5)


@attrs.define
class Client:
    """A client that sends requests to a tenant without a pause, with a new connection each time.

    Attributes:
        answers: The start of each request, and whether the tenant answered.
    """

    url: str
    answers: list[tuple[float, bool]] = attrs.field(factory=list)

    @property
    def failed(self) -> int:
        """Count the requests without an answer."""
        return sum(not answered for _, answered in self.answers)

    @property
    def gaps(self) -> list[float]:
        """Return the seconds from each first failed request to the next answered one."""
        gaps: list[float] = []
        down: float | None = None
        for began, answered in self.answers:
            if not answered:
                down = began if down is None else down
            elif down is not None:
                gaps.append(began - down)
                down = None
        return sorted(gaps)

    async def run(self) -> None:
        """Send requests until cancelled, at most a hundred per second."""
        timeout = aiohttp.ClientTimeout(total=2)
        connector = aiohttp.TCPConnector(force_close=True)
        async with aiohttp.ClientSession(timeout=timeout, connector=connector) as http:
            while True:
                began = time.perf_counter()
                self.answers.append((began, await self._ask(http)))
                await asyncio.sleep(0.01)

    async def is_answered(self) -> None:
        """Wait until the tenant has answered for a while."""
        before = len(self.answers)

        async def check() -> bool:
            return sum(answered for _, answered in self.answers[before:]) >= _SERVED

        await wait_for(check)

    async def _ask(self, http: aiohttp.ClientSession) -> bool:
        try:
            async with http.get(self.url) as response:
                return response.ok and await response.text() in "123"
        except (aiohttp.ClientError, TimeoutError):
            return False


@attrs.define
class Tenant:
    """A tenant with its record, which names the targets for a delete.

    Attributes:
        within: The limit for a job in seconds; None for a tenant whose target hangs.
    """

    name: str = attrs.field(factory=lambda: str(uuid4()))
    record: Record = attrs.field(factory=Record)
    within: float | None = _WITHIN
    tried_again: int = 0

    async def job(
        self, tenants: TenantJobs, operation: str, config: object, provider: str = "docker"
    ) -> None:
        """Carry out a job.

        Raises:
            TimeoutError: The job does not end in time.
        """
        body = {
            "tenant_uuid": self.name,
            "operation": operation,
            "desired_config": config,
            "compute_provider": provider,
        }
        steps = InMemorySteps(str(uuid4()), self.record)
        # As a backend does.
        async with asyncio.timeout(self.within):
            await retry(
                lambda: tenants.run(json.dumps(body).encode(), steps),
                Transient,
                first=1.0,
                longest=30.0,
                report=self._count_retry,
            )
        self.record = steps.record

    def _count_retry(self, _: Transient, __: int, ___: float) -> None:
        self.tried_again += 1


async def measure(plan: Plan) -> int:
    """Measure everything, print it as tables in Markdown, and return the exit code."""
    start_daemon()
    make_images()
    code = 0
    try:
        await _measure(plan)
    except* TimeoutError:
        print(_STUCK)
        code = 1
    return code


async def _measure(plan: Plan) -> None:
    engine = docker_engine({"label_prefix": _PREFIX})
    try:
        async with run_hanging_daemon() as hung:
            client = await update_under_load(engine, plan.updates)
            print("\n".join([*_load_table(plan, client), ""]), flush=True)
            tenants = _jobs(("docker", engine), ("hung", hung))
            alone = await create_tenants(tenants, plan)
            stuck = asyncio.ensure_future(
                Tenant(within=None).job(tenants, "provision", _WEB, "hung")
            )
            many = await create_tenants(tenants, plan)
            assert not stuck.done()
            stuck.cancel()
            await asyncio.gather(stuck, return_exceptions=True)
    finally:
        await engine.aclose()
    print("\n".join(_many_table(plan, alone, many)))


async def update_under_load(engine: DockerCompute, updates: int) -> Client:
    """Update one tenant again and again, while a client asks the tenant's published port."""
    tenants, tenant, port = _jobs(("docker", engine)), Tenant(), free_port()
    client = Client(f"http://127.0.0.1:{port}/")
    published = {"container_port": 8080, "host_port": port}
    check = {"type": "http", "port": 8080}
    config = {**_WEB, "ports": [published], "health_check": check}
    await tenant.job(tenants, "provision", config)
    asking = asyncio.ensure_future(client.run())
    try:
        for number in range(updates):
            await client.is_answered()
            image = f"{WEB}:{number % 2 + 2}"
            await tenant.job(tenants, "update", {**config, "image": image})
        await client.is_answered()
    finally:
        asking.cancel()
        await asyncio.gather(asking, return_exceptions=True)
        await tenant.job(tenants, "delete", {})
    return client


@attrs.frozen(kw_only=True)
class Created:
    """The seconds for each tenant, and the number of retries."""

    took: Sequence[float]
    tried_again: int

    def within(self, share: float) -> float:
        """Return the seconds in which this share of the tenants was created."""
        return sorted(self.took)[int(share * (len(self.took) - 1))]


async def create_tenants(tenants: TenantJobs, plan: Plan) -> Created:
    """Create all tenants, `at_once` at a time, and delete them."""
    new = [Tenant() for _ in range(plan.tenants)]
    try:
        took = await _all(tenants, new, "provision", _WEB, plan.at_once)
        return Created(took=took, tried_again=sum(tenant.tried_again for tenant in new))
    finally:
        await _all(tenants, new, "delete", {}, plan.at_once)


@asynccontextmanager
async def run_hanging_daemon() -> AsyncIterator[DockerCompute]:
    """Run a daemon that accepts connections and never answers."""
    over = asyncio.Event()

    async def hang(_: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await over.wait()
        writer.close()

    server = await asyncio.start_server(hang, "127.0.0.1", 0)
    port = server.sockets[0].getsockname()[1]
    engine = docker_engine({"host": f"tcp://127.0.0.1:{port}", "request_timeout": 600})
    try:
        yield engine
    finally:
        over.set()
        await engine.aclose()
        server.close()


def _jobs(*engines: tuple[str, DockerCompute]) -> TenantJobs:
    return build_tenant_jobs(*engines, health_timeout=120.0, step_timeout=600.0)


async def _all(
    tenants: TenantJobs, named: Sequence[Tenant], operation: str, config: object, at_once: int
) -> list[float]:
    took: list[float] = []

    async def client(own: Sequence[Tenant]) -> None:
        for tenant in own:
            began = time.perf_counter()
            await tenant.job(tenants, operation, config)
            took.append(time.perf_counter() - began)

    # The first job that gets stuck ends the benchmark.
    async with asyncio.TaskGroup() as group:
        for number in range(at_once):
            group.create_task(client(named[number::at_once]))
    return took


def _load_table(plan: Plan, client: Client) -> list[str]:
    gaps = client.gaps
    return [
        f"| {plan.updates} updates under load | |",
        "|---|---|",
        f"| requests | {len(client.answers)} |",
        f"| failed, for each update | {client.failed / plan.updates:.0f} |",
        f"| times that the tenant was away | {len(gaps)} |",
        f"| for how long, median | {statistics.median(gaps):.2f} s |",
        f"| for how long, at most | {gaps[-1]:.2f} s |",
    ]


def _many_table(plan: Plan, alone: Created, many: Created) -> list[str]:
    head = f"{plan.tenants} tenants, {plan.at_once} at a time"
    shares = [("p50", 0.5), ("p99", 0.99), ("the slowest", 1.0)]
    figures = [(name, alone.within(share), many.within(share)) for name, share in shares]
    return [
        f"| {head} | alone | beside a target that hangs | ratio |",
        "|---|---|---|---|",
        *(f"| {name} | {a:.2f} s | {b:.2f} s | {b / a:.2f} |" for name, a, b in figures),
        f"| tried again | {alone.tried_again} | {many.tried_again} | |",
    ]
