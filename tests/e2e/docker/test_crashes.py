"""A worker is killed with SIGKILL at each failpoint, and the next one leaves one right container."""

import json
import signal
from functools import partial
from pathlib import Path
from tempfile import NamedTemporaryFile
from typing import Any

import pytest

from landlord_engines_core.compute.docker.engine import DockerCompute
from landlord_test_target.compute_contract import wait_healthy
from landlord_test_target.docker import WEB, TenantContainers, docker, inspect_container, spec
from landlord_test_target.docker_crashing import run_all_jobs
from landlord_test_target.forks import fork_call

BAD = {"image": "landlord-test/sick:1"}


def run_jobs(
    tenant: TenantContainers, *jobs: tuple[str, dict[str, str]], crash_at: str = ""
) -> list[Any]:
    """Run jobs in a separate process that may crash at a failpoint, and return its answers."""
    bodies = [
        {
            "tenant_id": "a",
            "tenant_uuid": tenant.tenant,
            "operation": operation,
            "desired_config": {"image": f"{WEB}:1", **config},
        }
        for operation, config in jobs
    ]
    with NamedTemporaryFile() as output:
        log = Path(output.name)
        code = fork_call(partial(run_all_jobs, crash_at, bodies), log).join(60)
        text = log.read_text()
    assert code == (-signal.SIGKILL if crash_at else 0), text
    return [json.loads(line) for line in text.splitlines()]


@pytest.mark.parametrize("point", ["create:created", "create:started"])
async def test_a_worker_killed_in_a_create_leaves_one_container(
    engine: DockerCompute, tenant: TenantContainers, point: str
) -> None:
    run_jobs(tenant, ("provision", {}), crash_at=point)

    run_jobs(tenant, ("provision", {}))

    assert tenant.versions == [1]
    await wait_healthy(engine, spec(tenant.tenant))


@pytest.mark.parametrize(
    "then",
    [
        pytest.param("the same", marks=pytest.mark.long),
        pytest.param("the former", marks=pytest.mark.long),
        "another",
    ],
)
@pytest.mark.parametrize(
    "point",
    [
        "update:created",
        "update:stopped",
        pytest.param("update:started", marks=pytest.mark.long),
        "update:healthy",
        pytest.param("update:removed", marks=pytest.mark.long),
        pytest.param("update:renamed", marks=pytest.mark.long),
    ],
)
async def test_a_worker_killed_in_an_update_leaves_one_container_the_right_one(
    engine: DockerCompute, tenant: TenantContainers, point: str, then: str
) -> None:
    version = {"the same": 2, "the former": 1, "another": 3}[then]
    desired = {"image": f"{WEB}:{version}"}
    run_jobs(tenant, ("provision", {}))
    run_jobs(tenant, ("update", {"image": f"{WEB}:2"}), crash_at=point)

    (answer,) = run_jobs(tenant, ("update", desired))

    assert answer["state"] == "succeeded"
    assert tenant.versions == [version]
    assert tenant.only_container["Name"] == f"/landlord-tenant-{tenant.tenant}"
    await wait_healthy(engine, spec(tenant.tenant, **desired))


@pytest.mark.parametrize(
    "point",
    [
        "update:started",
        "rollback:stopped",
        pytest.param("rollback:started", marks=pytest.mark.long),
        pytest.param("rollback:removed", marks=pytest.mark.long),
    ],
)
async def test_a_worker_killed_in_a_failing_update_leaves_the_previous_container_serving(
    engine: DockerCompute, tenant: TenantContainers, point: str
) -> None:
    run_jobs(tenant, ("provision", {}))
    former = tenant.ids
    run_jobs(tenant, ("update", BAD), crash_at=point)

    result = await engine.update(spec(tenant.tenant, **BAD))

    assert result.rolled_back
    assert tenant.ids == former
    await wait_healthy(engine, spec(tenant.tenant))


@pytest.mark.parametrize(
    "point",
    [
        "update:healthy",
        pytest.param("update:removed", marks=pytest.mark.long),
        pytest.param("update:renamed", marks=pytest.mark.long),
    ],
)
async def test_a_container_that_became_healthy_keeps_serving_despite_later_failures(
    tenant: TenantContainers, point: str
) -> None:
    desired = {"image": f"{WEB}:2"}
    run_jobs(tenant, ("provision", {}))
    run_jobs(tenant, ("update", desired), crash_at=point)
    (serving,) = (
        container
        for container in map(inspect_container, tenant.ids)
        if container["State"]["Running"]
    )

    run_jobs(tenant, ("update", desired))

    assert tenant.only_container["Id"] == serving["Id"]
    assert tenant.only_container["State"]["StartedAt"] == serving["State"]["StartedAt"]


@pytest.mark.parametrize(
    "point",
    [
        pytest.param("update:stopped", marks=pytest.mark.long),
        "update:started",
        pytest.param("update:healthy", marks=pytest.mark.long),
    ],
)
async def test_a_previous_container_that_the_daemon_restarts_is_replaced_anyway(
    engine: DockerCompute, tenant: TenantContainers, point: str
) -> None:
    always = {"restart_policy": "always"}
    desired = {"image": f"{WEB}:2", **always}
    run_jobs(tenant, ("provision", always))
    former = tenant.only_container["Id"]
    run_jobs(tenant, ("update", desired), crash_at=point)
    # With this restart policy, a restarting daemon starts stopped containers too.
    docker("start", former)

    run_jobs(tenant, ("update", desired))

    assert tenant.versions == [2]
    await wait_healthy(engine, spec(tenant.tenant, **desired))


@pytest.mark.parametrize("point", ["delete:stopped", "delete:removed"])
async def test_a_worker_killed_in_a_delete_leaves_nothing(
    tenant: TenantContainers, point: str
) -> None:
    run_jobs(tenant, ("provision", {}))
    run_jobs(tenant, ("delete", {}), crash_at=point)

    (answer,) = run_jobs(tenant, ("delete", {}))

    assert answer["output"]["status"] in ("deleted", "absent")
    assert tenant.ids == []
