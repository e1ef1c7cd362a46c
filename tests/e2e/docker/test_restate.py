"""Tenants with containers of their own, carried through their lives by Restate and a real worker."""

import os
from typing import Any

import pytest

from landlord_test_target.docker import SETTINGS, WEB, TenantContainers, docker
from landlord_test_target.harness import Worker, World, wait_for


async def started(world: World, **worker: Any) -> Worker:
    config = world.config(compute_provider="docker", **worker)
    config["compute"]["docker"] = {**SETTINGS, "image": f"{WEB}:1"}
    return await (await world.launch(config)).wait_registered()


async def test_a_tenant_lives_in_a_container_from_create_to_delete(
    world: World, tenant: TenantContainers
) -> None:
    await started(world)

    outcomes = [
        await world.run(tenant.tenant, "provision"),
        await world.run(tenant.tenant, "provision"),
        await world.run(tenant.tenant, "update", image=f"{WEB}:2", env={"A": "b"}),
    ]
    assert tenant.versions == [2]
    outcomes += [
        await world.run(tenant.tenant, "delete"),
        await world.run(tenant.tenant, "delete"),
    ]

    assert outcomes == ["created", "unchanged", "updated", "deleted", "absent"]
    assert tenant.ids == []
    history = await world.wait_ended(tenant.tenant, 5)
    assert history[2]["changes"] == ["env changed", "image changed"]


async def test_an_update_that_fails_is_held_while_the_former_container_serves(
    world: World, tenant: TenantContainers
) -> None:
    await started(world, hold_retry_interval="200ms")
    await world.run(tenant.tenant, "provision")
    former = tenant.ids

    job = await world.send(tenant.tenant, "update", image="landlord-test/sick:1")
    row = await world.wait_held(job, "rolled back")

    assert "its own check says unhealthy" in row["last_failure"]
    assert tenant.ids == former
    assert tenant.only_container["State"]["Running"]
    assert await world.run(tenant.tenant, "update", image=f"{WEB}:3") == "updated"
    assert tenant.versions == [3]


@pytest.mark.parametrize(
    ("drift", "outcome"), [("stop", "updated"), ("pause", "updated"), ("rm", "created")]
)
async def test_the_next_job_repairs_outside_changes_of_a_container(
    world: World, tenant: TenantContainers, drift: str, outcome: str
) -> None:
    await started(world)
    await world.run(tenant.tenant, "provision")
    options = {"stop": ("-t", "0"), "rm": ("-f",)}.get(drift, ())
    docker(drift, *options, tenant.only_container["Id"])

    assert await world.run(tenant.tenant, "update") == outcome

    assert tenant.only_container["State"]["Status"] == "running"


async def test_a_container_of_landlords_own_worker_is_adopted_without_a_restart(
    world: World, tenant: TenantContainers
) -> None:
    await started(world)
    tenant.create_as_landlord()

    outcome = await world.run(tenant.tenant, "update", image=f"{WEB}:2")

    assert outcome == "updated"
    assert tenant.versions == [2]
    assert await world.run(tenant.tenant, "delete") == "deleted"
    assert tenant.ids == []


async def test_a_container_of_landlords_own_worker_is_deleted_without_a_record(
    world: World, tenant: TenantContainers
) -> None:
    await started(world)
    tenant.create_as_landlord()

    assert await world.run(tenant.tenant, "delete") == "deleted"

    assert tenant.ids == []


async def test_a_tenant_moves_to_another_compute_engine_and_back(
    world: World, tenant: TenantContainers
) -> None:
    await started(world)
    await world.run(tenant.tenant, "provision")

    await world.run(tenant.tenant, "update", "target", version=1, image="x")
    assert tenant.ids == []
    assert len(await world.target.resources(tenant.tenant)) == 1
    await world.run(tenant.tenant, "update", "docker", image=f"{WEB}:2")

    assert tenant.versions == [2]
    assert await world.target.resources(tenant.tenant) == []


async def test_a_job_that_the_policy_refuses_is_held_and_never_reaches_the_daemon(
    world: World, tenant: TenantContainers
) -> None:
    worker = await started(world, hold_retry_interval="200ms")

    job = await world.send(tenant.tenant, "provision", privileged=True, env={"KEY": "sesame"})
    row = await world.wait_held(job, "$.privileged")

    assert tenant.ids == []
    assert "sesame" not in str(row.get("last_failure")) + worker.log_text()
    assert await world.run(tenant.tenant, "update") == "created"


async def test_the_next_worker_completes_an_update_of_a_killed_worker(
    world: World, tenant: TenantContainers
) -> None:
    worker = await started(world)
    await world.run(tenant.tenant, "provision")
    slow: dict[str, Any] = {"image": f"{WEB}:2", "health_check": {"type": "tcp", "port": 8080}}
    job = await world.send(tenant.tenant, "update", command=["sh", "-c", LATE], **slow)

    async def look() -> bool:
        return len(tenant.ids) == 2

    await wait_for(look)
    await worker.kill()
    await world.restart(worker)

    assert (await world.wait_done(job))["output"]["status"] == "updated"
    assert tenant.versions == [2]


LATE = "sleep 2; exec httpd -f -p 8080 -h /www"
"""Long enough for the worker to be killed meanwhile."""


@pytest.mark.parametrize("where", ["environment", "settings"])
async def test_the_daemon_is_found_where_dockers_own_clients_look(
    world: World, tenant: TenantContainers, where: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    config: dict[str, Any] = world.config(compute_provider="docker")
    here, nowhere = "unix:///var/run/docker.sock", "unix:///nowhere.sock"
    monkeypatch.delitem(os.environ, "DOCKER_HOST", raising=False)
    if where == "environment":
        monkeypatch.setenv("DOCKER_HOST", here)
    host = nowhere if where == "environment" else here
    config["compute"]["docker"] = {**SETTINGS, "host": host}
    await (await world.launch(config)).wait_registered()

    assert await world.run(tenant.tenant, "provision", image=f"{WEB}:1") == "created"
