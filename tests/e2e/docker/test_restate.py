"""Tenants with containers, created, updated and deleted through Restate and a real worker."""

import os
from typing import Any

import pytest

from landlord_test_target.docker import SETTINGS, WEB, TenantContainers, docker
from landlord_test_target.harness import Harness, Worker, wait_for


async def start_worker(harness: Harness, **worker: Any) -> Worker:
    config = harness.config(compute_provider="docker", **worker)
    config["compute"]["docker"] = {**SETTINGS, "image": f"{WEB}:1"}
    return await (await harness.launch(config)).wait_registered()


async def test_a_tenant_lives_in_a_container_from_create_to_delete(
    harness: Harness, tenant: TenantContainers
) -> None:
    await start_worker(harness)

    outcomes = [
        await harness.run(tenant.tenant, "provision"),
        await harness.run(tenant.tenant, "provision"),
        await harness.run(tenant.tenant, "update", image=f"{WEB}:2", env={"A": "b"}),
    ]
    assert tenant.versions == [2]
    outcomes += [
        await harness.run(tenant.tenant, "delete"),
        await harness.run(tenant.tenant, "delete"),
    ]

    assert outcomes == ["created", "unchanged", "updated", "deleted", "absent"]
    assert tenant.ids == []
    history = await harness.wait_ended(tenant.tenant, 5)
    assert history[2]["changes"] == ["env changed", "image changed"]


async def test_an_update_that_fails_is_held_while_the_former_container_serves(
    harness: Harness, tenant: TenantContainers
) -> None:
    await start_worker(harness, hold_retry_interval="200ms")
    await harness.run(tenant.tenant, "provision")
    former = tenant.ids

    job = await harness.send(tenant.tenant, "update", image="landlord-test/sick:1")
    row = await harness.wait_held(job, "rolled back")

    assert "its own check says unhealthy" in row["last_failure"]
    assert tenant.ids == former
    assert tenant.only_container["State"]["Running"]
    assert await harness.run(tenant.tenant, "update", image=f"{WEB}:3") == "updated"
    assert tenant.versions == [3]


@pytest.mark.parametrize(
    ("drift", "outcome"), [("stop", "updated"), ("pause", "updated"), ("rm", "created")]
)
async def test_the_next_job_repairs_outside_changes_of_a_container(
    harness: Harness, tenant: TenantContainers, drift: str, outcome: str
) -> None:
    await start_worker(harness)
    await harness.run(tenant.tenant, "provision")
    options = {"stop": ("-t", "0"), "rm": ("-f",)}.get(drift, ())
    docker(drift, *options, tenant.only_container["Id"])

    assert await harness.run(tenant.tenant, "update") == outcome

    assert tenant.only_container["State"]["Status"] == "running"


async def test_a_container_of_landlords_own_worker_is_adopted_without_a_restart(
    harness: Harness, tenant: TenantContainers
) -> None:
    await start_worker(harness)
    tenant.create_as_landlord()

    outcome = await harness.run(tenant.tenant, "update", image=f"{WEB}:2")

    assert outcome == "updated"
    assert tenant.versions == [2]
    assert await harness.run(tenant.tenant, "delete") == "deleted"
    assert tenant.ids == []


async def test_a_container_of_landlords_own_worker_is_deleted_without_a_record(
    harness: Harness, tenant: TenantContainers
) -> None:
    await start_worker(harness)
    tenant.create_as_landlord()

    assert await harness.run(tenant.tenant, "delete") == "deleted"

    assert tenant.ids == []


async def test_a_tenant_moves_to_another_compute_engine_and_back(
    harness: Harness, tenant: TenantContainers
) -> None:
    await start_worker(harness)
    await harness.run(tenant.tenant, "provision")

    await harness.run(tenant.tenant, "update", "target", version=1, image="x")
    assert tenant.ids == []
    assert len(await harness.target.resources(tenant.tenant)) == 1
    await harness.run(tenant.tenant, "update", "docker", image=f"{WEB}:2")

    assert tenant.versions == [2]
    assert await harness.target.resources(tenant.tenant) == []


async def test_a_job_that_the_policy_refuses_is_held_and_never_reaches_the_daemon(
    harness: Harness, tenant: TenantContainers
) -> None:
    worker = await start_worker(harness, hold_retry_interval="200ms")

    job = await harness.send(tenant.tenant, "provision", privileged=True, env={"KEY": "sesame"})
    row = await harness.wait_held(job, "$.privileged")

    assert tenant.ids == []
    assert "sesame" not in str(row.get("last_failure")) + worker.log_text()
    assert await harness.run(tenant.tenant, "update") == "created"


async def test_the_next_worker_completes_an_update_of_a_killed_worker(
    harness: Harness, tenant: TenantContainers
) -> None:
    worker = await start_worker(harness)
    await harness.run(tenant.tenant, "provision")
    slow: dict[str, Any] = {"image": f"{WEB}:2", "health_check": {"type": "tcp", "port": 8080}}
    job = await harness.send(tenant.tenant, "update", command=["sh", "-c", LATE], **slow)

    async def check() -> bool:
        return len(tenant.ids) == 2

    await wait_for(check)
    await worker.kill()
    await harness.restart(worker)

    assert (await harness.wait_done(job))["output"]["status"] == "updated"
    assert tenant.versions == [2]


LATE = "sleep 2; exec httpd -f -p 8080 -h /www"
"""Long enough for the worker to be killed meanwhile."""


@pytest.mark.parametrize("where", ["environment", "settings"])
async def test_the_daemon_is_found_where_dockers_own_clients_look(
    harness: Harness, tenant: TenantContainers, where: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    config: dict[str, Any] = harness.config(compute_provider="docker")
    here, nowhere = "unix:///var/run/docker.sock", "unix:///nowhere.sock"
    monkeypatch.delitem(os.environ, "DOCKER_HOST", raising=False)
    if where == "environment":
        monkeypatch.setenv("DOCKER_HOST", here)
    host = nowhere if where == "environment" else here
    config["compute"]["docker"] = {**SETTINGS, "host": host}
    await (await harness.launch(config)).wait_registered()

    assert await harness.run(tenant.tenant, "provision", image=f"{WEB}:1") == "created"
