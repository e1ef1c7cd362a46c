"""An update replaces the current container by the next one, or keeps the current one."""

import asyncio
from collections.abc import Callable
from uuid import uuid4

import aiohttp
import pytest

from landlord_engines_core.compute import ResourceState
from landlord_engines_core.compute.docker.engine import DockerCompute
from landlord_engines_core.errors import ComputeRefused
from landlord_test_target.compute_contract import Interrupted, wait_healthy
from landlord_test_target.docker import (
    WEB,
    TenantContainers,
    address,
    docker,
    inspect_container,
    spec,
)
from landlord_test_target.harness import free_port, wait_for

MakeEngine = Callable[..., DockerCompute]


async def read_page(http: aiohttp.ClientSession, tenant: TenantContainers) -> str:
    async with http.get(f"http://{address(tenant.only_container)}:8080/") as answer:
        return await answer.text()


async def wait_failed(engine: DockerCompute, tenant: TenantContainers) -> None:
    """Wait until the tenant's container has failed."""

    async def check() -> bool:
        return (await engine.inspect(tenant.tenant, "")).state is ResourceState.FAILED

    await wait_for(check)


async def provision_exited(engine: DockerCompute, tenant: TenantContainers) -> None:
    """Create a container that has exited and is not restarted."""
    await engine.provision(spec(tenant.tenant, command=["sh", "-c", "exit 1"], restart_policy="no"))

    async def check() -> bool:
        return bool(tenant.only_container["State"]["Status"] == "exited")

    await wait_for(check)


async def test_the_next_container_takes_the_place_and_the_port_of_the_former(
    engine: DockerCompute, tenant: TenantContainers, http: aiohttp.ClientSession
) -> None:
    port = free_port()
    ports = [{"container_port": 8080, "host_port": port}]
    first = spec(tenant.tenant, ports=ports)
    await engine.provision(first)
    await wait_healthy(engine, first)
    former = tenant.only_container["Id"]

    second = spec(tenant.tenant, ports=ports, image=f"{WEB}:2")
    updated = await engine.update(second)

    assert tenant.only_container["Id"] != former
    assert tenant.only_container["Name"] == f"/landlord-tenant-{tenant.tenant}"
    assert updated.resource_ids == {
        "container_id": tenant.only_container["Id"],
        "8080/tcp": str(port),
    }
    async with http.get(f"http://127.0.0.1:{port}/") as answer:
        assert await answer.text() == "2"


@pytest.mark.parametrize(
    ("bad", "reason"),
    [
        ({"image": "landlord-test/sick:1"}, "its own check says unhealthy"),
        ({"command": ["sh", "-c", "exit 1"]}, "it restarts again and again"),
        ({"command": ["sh", "-c", "exit 1"], "restart_policy": "no"}, "it has ended with 1"),
        ({"command": ["no-such-thing"]}, "the image does not have the command"),
        ({"health_check": {"type": "tcp", "port": 81}}, "it does not answer its health check"),
    ],
    ids=repr,
)
async def test_an_update_that_does_not_become_healthy_restores_the_previous_container(
    make_engine: MakeEngine,
    tenant: TenantContainers,
    http: aiohttp.ClientSession,
    bad: dict[str, object],
    reason: str,
) -> None:
    # On a busy machine a failing program ends slowly, and must not count as stable before that.
    engine = make_engine(health_timeout=5 if "health_check" in bad else 60, stable_window=3)
    first = spec(tenant.tenant)
    await engine.provision(first)
    await wait_healthy(engine, first)
    former = tenant.only_container["Id"]

    result = await engine.update(spec(tenant.tenant, **bad))

    assert reason in result.rolled_back
    assert result.resource_ids["container_id"] == former == tenant.only_container["Id"]
    await wait_healthy(engine, first)
    assert await read_page(http, tenant) == "1"


@pytest.mark.parametrize("policy", ["unless-stopped", "on-failure"])
async def test_a_next_container_that_others_stop_meanwhile_is_started_again(
    engine: DockerCompute, tenant: TenantContainers, policy: str
) -> None:
    first = spec(tenant.tenant)
    await engine.provision(first)
    await wait_healthy(engine, first)
    desired = spec(
        tenant.tenant,
        command=["sh", "-c", "until [ -e /go ]; do sleep 0.1; done; exec httpd -f -p 8080"],
        health_check={"type": "tcp", "port": 8080},
        restart_policy=policy,
    )

    async def next_container() -> str:
        return docker("ps", "-q", "--filter", f"name=landlord-tenant-{tenant.tenant}-next")

    update = asyncio.create_task(engine.update(desired))
    next_id = await wait_for(next_container)
    docker("kill", next_id)
    await wait_for(next_container)
    docker("exec", next_id, "busybox", "touch", "/go")

    assert (await update).rolled_back == ""
    assert tenant.only_container["Id"].startswith(next_id)
    await wait_healthy(engine, desired)


async def test_an_update_whose_image_is_missing_leaves_the_current_one_alone(
    engine: DockerCompute, tenant: TenantContainers
) -> None:
    first = spec(tenant.tenant)
    await engine.provision(first)
    started = tenant.only_container["State"]["StartedAt"]

    with pytest.raises(ComputeRefused, match="pull_policy is never"):
        await engine.update(spec(tenant.tenant, image="landlord-test/none:1", pull_policy="never"))

    assert tenant.only_container["State"]["StartedAt"] == started


def interrupt_at(point: str) -> Callable[[str], None]:
    def reached(at: str) -> None:
        if at == point:
            raise Interrupted(at)

    return reached


async def running_versions(tenant: TenantContainers) -> list[int]:
    """Return the versions of the running containers."""
    containers = [inspect_container(container) for container in tenant.ids]
    return [
        int(container["Config"]["Image"][-1])
        for container in containers
        if container["State"]["Running"]
    ]


async def interrupt_after_next_serves(
    make_engine: MakeEngine, tenant: TenantContainers, **first: object
) -> None:
    """Update from version 1 to 2, with an interruption after version 2 has started."""
    await make_engine().provision(spec(tenant.tenant, **first))
    await wait_healthy(make_engine(), spec(tenant.tenant, **first))
    with pytest.raises(Interrupted):
        await make_engine(interrupt_at("update:started")).update(
            spec(tenant.tenant, image=f"{WEB}:2")
        )
    assert await running_versions(tenant) == [2]


async def test_after_an_interrupted_update_the_serving_container_stays_if_the_next_image_is_missing(
    make_engine: MakeEngine, tenant: TenantContainers
) -> None:
    await interrupt_after_next_serves(make_engine, tenant)

    with pytest.raises(ComputeRefused, match="pull_policy is never"):
        await make_engine().update(
            spec(tenant.tenant, image="landlord-test/none:1", pull_policy="never")
        )

    assert await running_versions(tenant) == [2]


async def test_after_an_interrupted_update_the_previous_container_serves_if_the_next_create_fails(
    make_engine: MakeEngine, tenant: TenantContainers
) -> None:
    await interrupt_after_next_serves(make_engine, tenant)

    with pytest.raises(ComputeRefused, match=r"\$.resources.memory is less"):
        await make_engine().update(spec(tenant.tenant, image=f"{WEB}:3", resources={"memory": 1}))

    assert await running_versions(tenant) == [1]
    assert tenant.versions == [1]


async def test_after_an_interrupted_update_a_broken_previous_container_blocks_no_update(
    make_engine: MakeEngine, tenant: TenantContainers
) -> None:
    port, other = free_port(), TenantContainers(str(uuid4()))
    ports = [{"container_port": 8080, "host_port": port}]
    await interrupt_after_next_serves(make_engine, tenant, ports=ports)
    await make_engine().provision(spec(other.tenant, ports=ports))

    try:
        await make_engine().update(spec(tenant.tenant, image=f"{WEB}:3"))
    finally:
        other.remove_all()

    assert await running_versions(tenant) == [3]
    assert tenant.versions == [3]


async def test_a_rollback_restores_a_running_container_that_did_not_answer(
    make_engine: MakeEngine, tenant: TenantContainers
) -> None:
    engine = make_engine(health_timeout=1)
    first = spec(tenant.tenant, health_check={"type": "tcp", "port": 81})
    await engine.provision(first)
    await wait_failed(engine, tenant)
    former = tenant.ids

    result = await engine.update(spec(tenant.tenant, command=["no-such-thing"]))

    assert "the image does not have the command" in result.rolled_back
    assert tenant.ids == former
    assert tenant.only_container["State"]["Running"]


async def test_a_failed_container_with_the_desired_configuration_is_recreated(
    make_engine: MakeEngine, tenant: TenantContainers
) -> None:
    engine = make_engine(health_timeout=1)
    desired = spec(tenant.tenant, health_check={"type": "tcp", "port": 81})
    await engine.provision(desired)
    await wait_failed(engine, tenant)
    former = tenant.ids

    result = await engine.provision(desired)

    assert result.rolled_back == ""
    assert len(tenant.ids) == 1
    assert tenant.ids != former


async def test_a_container_that_never_served_is_not_restored(
    engine: DockerCompute, tenant: TenantContainers
) -> None:
    await provision_exited(engine, tenant)

    result = await engine.update(spec(tenant.tenant, command=["sh", "-c", "exit 2"]))

    assert result.rolled_back == ""
    assert tenant.only_container["Config"]["Cmd"] == ["sh", "-c", "exit 2"]


async def test_a_new_container_that_cannot_be_started_is_refused_until_it_can(
    engine: DockerCompute, tenant: TenantContainers
) -> None:
    await provision_exited(engine, tenant)

    with pytest.raises(ComputeRefused, match="the image does not have the command"):
        await engine.update(spec(tenant.tenant, command=["no-such-thing"]))
    await engine.update(spec(tenant.tenant))

    await wait_healthy(engine, spec(tenant.tenant))


async def test_a_container_in_a_crash_loop_gets_its_name_anyway(
    engine: DockerCompute, tenant: TenantContainers
) -> None:
    await provision_exited(engine, tenant)

    await engine.update(spec(tenant.tenant, command=["sh", "-c", "exit 3"]))
    await engine.update(spec(tenant.tenant, image=f"{WEB}:2"))

    assert tenant.versions == [2]
    assert tenant.only_container["Name"] == f"/landlord-tenant-{tenant.tenant}"


@pytest.mark.parametrize("point", ["rollback:stopped", "rollback:started", "rollback:removed"])
async def test_a_rollback_interrupted_at_any_failpoint_ends_with_the_previous_container(
    make_engine: MakeEngine, tenant: TenantContainers, http: aiohttp.ClientSession, point: str
) -> None:
    first, bad = spec(tenant.tenant), spec(tenant.tenant, image="landlord-test/sick:1")
    await make_engine().provision(first)
    await wait_healthy(make_engine(), first)
    with pytest.raises(Interrupted):
        await make_engine(interrupt_at(point)).update(bad)

    result = await make_engine().update(bad)

    assert result.rolled_back == "its own check says unhealthy"
    assert tenant.versions == [1]
    await wait_healthy(make_engine(), first)
    assert await read_page(http, tenant) == "1"


async def test_a_later_update_replaces_an_interrupted_one(
    make_engine: MakeEngine, tenant: TenantContainers
) -> None:
    engine, first = make_engine(), spec(tenant.tenant)
    await engine.provision(first)
    await wait_healthy(engine, first)
    with pytest.raises(Interrupted):
        await make_engine(interrupt_at("update:stopped")).update(
            spec(tenant.tenant, image=f"{WEB}:2")
        )

    seen = await engine.inspect(tenant.tenant, "")
    later = await engine.update(spec(tenant.tenant, image="landlord-test/sick:1"))

    assert seen.state is ResourceState.FAILED
    assert later.rolled_back == "its own check says unhealthy"
    assert tenant.versions == [1]


async def test_copies_of_the_container_made_by_others_are_removed(
    engine: DockerCompute, tenant: TenantContainers
) -> None:
    desired = spec(tenant.tenant)
    await engine.provision(desired)
    label = f"--label=landlord.tenant_id={tenant.tenant}"
    docker("create", "--label=landlord.owner=landlord", label, f"{WEB}:2")

    seen = await engine.inspect(tenant.tenant, "")
    await engine.provision(desired)

    assert seen.state is ResourceState.FAILED
    assert tenant.versions == [1]


async def test_a_container_of_landlords_own_worker_is_adopted_updated_and_deleted(
    engine: DockerCompute, tenant: TenantContainers
) -> None:
    tenant.create_as_landlord()

    async def config_hash() -> str:
        return (await engine.inspect(tenant.tenant, "")).config_hash

    assert await config_hash() == ""
    await engine.provision(spec(tenant.tenant, image=f"{WEB}:2"))
    await wait_healthy(engine, spec(tenant.tenant, image=f"{WEB}:2"))
    assert tenant.versions == [2]
    assert tenant.only_container["Name"] == f"/landlord-tenant-{tenant.tenant}"
    assert await config_hash() == spec(tenant.tenant, image=f"{WEB}:2").config_hash
    assert await engine.destroy(tenant.tenant, "")
    assert tenant.ids == []


async def test_a_failed_update_restores_a_container_of_landlords_own_worker(
    engine: DockerCompute, tenant: TenantContainers
) -> None:
    container = tenant.create_as_landlord()
    await wait_healthy(engine, spec(tenant.tenant))

    result = await engine.update(spec(tenant.tenant, image="landlord-test/sick:1"))

    assert result.rolled_back
    assert tenant.ids == [container]
    assert tenant.only_container["State"]["Running"]


async def test_a_container_of_landlords_own_worker_is_deleted_without_an_update(
    engine: DockerCompute, tenant: TenantContainers
) -> None:
    tenant.create_as_landlord()

    assert await engine.destroy(tenant.tenant, "")

    assert tenant.ids == []
