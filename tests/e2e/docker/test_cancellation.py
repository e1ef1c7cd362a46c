"""A killed job ends only after its request in flight, and no kill leaves a tenant out of service."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import suppress

import pytest
import pytest_asyncio

from landlord_engines_core.compute import ComputeSpec, InFlightRequests, ResourceState, in_flight
from landlord_engines_core.compute.docker.engine import DockerCompute
from landlord_engines_core.errors import ExecutionEnded, Superseded
from landlord_test_target.compute_contract import wait_healthy
from landlord_test_target.docker import WEB, TenantContainers, docker, inspect_container, spec
from landlord_test_target.harness import free_port, wait_for
from landlord_test_target.holding_proxy import HoldingProxy, run_holding_proxy

MakeEngine = Callable[..., DockerCompute]
ConfirmJob = Callable[[], Awaitable[object]]


async def confirm_job_is_alive() -> None:
    """Confirm that the job is alive, without an error."""


def confirm_that_raises(error: Exception) -> ConfirmJob:
    async def confirm_job() -> None:
        raise error

    return confirm_job


async def update_in_step(
    engine: DockerCompute, desired: ComputeSpec, confirm_job: ConfirmJob = confirm_job_is_alive
) -> object:
    """Update a tenant as a step of a job does."""
    requests = InFlightRequests(longest_carry=engine.longest_carry)
    with requests.attribute_to(desired.tenant, confirm_job):
        return await engine.update(desired)


@pytest_asyncio.fixture(loop_scope="session")
async def proxy() -> AsyncIterator[HoldingProxy]:
    async with run_holding_proxy() as proxy:
        yield proxy


def running_versions(tenant: TenantContainers) -> list[int]:
    """Return the versions of the running containers."""
    containers = [inspect_container(container) for container in tenant.ids]
    return [
        int(container["Config"]["Image"][-1])
        for container in containers
        if container["State"]["Running"]
    ]


async def provision_healthy(
    make_engine: MakeEngine, tenant: TenantContainers, **config: object
) -> None:
    first = spec(tenant.tenant, **config)
    await make_engine().provision(first)
    await wait_healthy(make_engine(), first)


async def cancel_update_at(make_engine: MakeEngine, point: str, desired: ComputeSpec) -> None:
    """Cancel an update at this failpoint."""

    def reached(at: str) -> None:
        if at == point:
            task.cancel()

    task = asyncio.create_task(update_in_step(make_engine(reached), desired))
    with suppress(asyncio.CancelledError):
        await task
    assert task.cancelled()


@pytest.mark.parametrize(
    ("request_line", "config"),
    [
        ("/images/create", {"image": "landlord-test/none:1"}),
        ("/images/landlord-test", {"image": f"{WEB}:1"}),
        ("/containers/json", {"image": f"{WEB}:1"}),
    ],
    ids=["pull", "look for the image", "look"],
)
async def test_a_job_cancelled_before_its_create_stops_at_once_and_creates_nothing(
    make_engine: MakeEngine,
    tenant: TenantContainers,
    proxy: HoldingProxy,
    request_line: str,
    config: dict[str, object],
) -> None:
    proxy.held_text = request_line
    job = asyncio.create_task(
        update_in_step(make_engine(host=proxy.host), spec(tenant.tenant, **config))
    )
    await proxy.arrived.wait()

    job.cancel()
    await asyncio.wait((job,), timeout=1)

    assert job.cancelled()
    proxy.released.set()
    assert tenant.ids == []


async def test_a_cancelled_job_waits_for_its_create_in_flight_and_sends_no_more(
    make_engine: MakeEngine, tenant: TenantContainers, proxy: HoldingProxy
) -> None:
    proxy.held_text = "/containers/create"
    job = asyncio.create_task(update_in_step(make_engine(host=proxy.host), spec(tenant.tenant)))
    await proxy.arrived.wait()

    job.cancel()
    await asyncio.wait((job,), timeout=0.2)
    assert not job.done()
    proxy.released.set()
    await asyncio.wait((job,))

    assert job.cancelled()
    assert tenant.only_container["State"]["Status"] == "created"
    assert await make_engine().destroy(tenant.tenant, "")
    assert tenant.ids == []


async def test_a_create_that_arrives_late_continues_with_the_container_of_another_worker(
    make_engine: MakeEngine, tenant: TenantContainers, proxy: HoldingProxy
) -> None:
    proxy.held_text = "/containers/create"
    desired = spec(tenant.tenant)
    late = asyncio.create_task(update_in_step(make_engine(host=proxy.host), desired))
    await proxy.arrived.wait()
    await make_engine().provision(desired)
    container = tenant.only_container["Id"]

    proxy.released.set()
    await late

    assert tenant.only_container["Id"] == container


async def test_a_stop_in_flight_ends_before_the_previous_container_is_started_again(
    make_engine: MakeEngine, tenant: TenantContainers, proxy: HoldingProxy
) -> None:
    await provision_healthy(make_engine, tenant)
    proxy.held_text = f"/containers/{tenant.only_container['Id']}/stop"
    desired = spec(tenant.tenant, image=f"{WEB}:2")
    job = asyncio.create_task(update_in_step(make_engine(host=proxy.host), desired))
    await proxy.arrived.wait()

    job.cancel()
    await asyncio.wait((job,), timeout=0.2)
    assert not job.done()
    proxy.released.set()
    await asyncio.wait((job,))

    assert running_versions(tenant) == [1]


@pytest.mark.parametrize(
    ("point", "serving"),
    [
        ("update:created", 1),
        ("update:stopped", 1),
        ("update:started", 1),
        ("update:healthy", 2),
        ("update:removed", 2),
        ("update:renamed", 2),
    ],
)
async def test_after_a_cancelled_update_one_version_serves_and_a_delete_leaves_nothing(
    make_engine: MakeEngine, tenant: TenantContainers, point: str, serving: int
) -> None:
    port = free_port()
    ports = [{"container_port": 8080, "host_port": port}]
    await provision_healthy(make_engine, tenant, ports=ports)

    await cancel_update_at(make_engine, point, spec(tenant.tenant, image=f"{WEB}:2", ports=ports))

    assert running_versions(tenant) == [serving]
    assert await make_engine().destroy(tenant.tenant, "")
    assert tenant.ids == []


@pytest.mark.parametrize("point", ["rollback:stopped", "rollback:started", "rollback:removed"])
async def test_the_previous_container_serves_after_a_rollback_is_cancelled(
    make_engine: MakeEngine, tenant: TenantContainers, point: str
) -> None:
    await provision_healthy(make_engine, tenant)

    await cancel_update_at(make_engine, point, spec(tenant.tenant, image="landlord-test/sick:1"))

    (serving,) = (
        container
        for container in map(inspect_container, tenant.ids)
        if container["State"]["Running"]
    )
    assert serving["Config"]["Image"] == f"{WEB}:1"


async def test_a_cancelled_update_restarts_a_container_that_ran_without_serving(
    make_engine: MakeEngine, tenant: TenantContainers
) -> None:
    unhealthy = spec(tenant.tenant, health_check={"type": "tcp", "port": 81})
    quick = {"health_timeout": 0.5}
    await make_engine(**quick).provision(unhealthy)
    former = tenant.only_container["Id"]

    async def has_failed() -> bool:
        seen = await make_engine(**quick).inspect(tenant.tenant, "")
        return seen.state is ResourceState.FAILED

    await wait_for(has_failed)

    def reached(at: str) -> None:
        if at == "update:stopped":
            task.cancel()

    task = asyncio.create_task(update_in_step(make_engine(reached, **quick), unhealthy))
    await asyncio.wait((task,))

    assert [
        container["Id"]
        for container in map(inspect_container, tenant.ids)
        if container["State"]["Running"]
    ] == [former]


async def test_an_update_restarts_if_another_worker_starts_the_previous_container(
    make_engine: MakeEngine, tenant: TenantContainers
) -> None:
    ports = [{"container_port": 8080, "host_port": free_port()}]
    await provision_healthy(make_engine, tenant, ports=ports)
    former, stopped = tenant.only_container["Id"], list[str]()

    def reached(at: str) -> None:
        # This simulates the rollback of an older job that was killed.
        if at == "update:stopped" and not stopped:
            stopped.append(docker("start", former))

    result = await make_engine(reached).update(spec(tenant.tenant, image=f"{WEB}:2", ports=ports))

    assert result.rolled_back == ""
    assert tenant.versions == [2]
    assert running_versions(tenant) == [2]


async def test_the_previous_container_is_restored_if_another_worker_removes_the_next_one(
    make_engine: MakeEngine, tenant: TenantContainers
) -> None:
    await provision_healthy(make_engine, tenant)
    former, events = tenant.only_container["Id"], list[str]()

    def reached(at: str) -> None:
        if at == "update:stopped" and at not in events:
            (next_id,) = set(tenant.ids) - {former}
            docker("rm", "-f", next_id)
        events.append(at)

    await make_engine(reached).update(spec(tenant.tenant, image=f"{WEB}:2"))

    assert events.index("rollback:started") < events.index("update:created", 1)
    assert tenant.versions == [2]


@pytest.mark.parametrize("error", [Superseded("younger"), ExecutionEnded("killed")])
async def test_a_worker_that_was_frozen_creates_nothing_for_an_ended_job(
    make_engine: MakeEngine,
    tenant: TenantContainers,
    monkeypatch: pytest.MonkeyPatch,
    error: Superseded,
) -> None:
    monkeypatch.setattr(in_flight, "FRESH", -1.0)

    with pytest.raises(type(error)):
        await update_in_step(make_engine(), spec(tenant.tenant), confirm_that_raises(error))

    assert tenant.ids == []


@pytest.mark.parametrize(
    ("error", "serving"), [(Superseded("younger"), []), (ExecutionEnded("killed"), [2])]
)
async def test_a_worker_that_was_frozen_in_a_switch_ends_it_unless_a_younger_job_does(
    make_engine: MakeEngine,
    tenant: TenantContainers,
    monkeypatch: pytest.MonkeyPatch,
    error: Superseded,
    serving: list[int],
) -> None:
    await provision_healthy(make_engine, tenant)

    def reached(at: str) -> None:
        if at == "update:stopped":
            monkeypatch.setattr(in_flight, "FRESH", -1.0)

    with pytest.raises(type(error)):
        await update_in_step(
            make_engine(reached), spec(tenant.tenant, image=f"{WEB}:2"), confirm_that_raises(error)
        )

    assert running_versions(tenant) == serving
    assert sorted(tenant.versions) == [1, 2]
