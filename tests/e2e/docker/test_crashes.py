"""A worker killed with -9 at each point of an act: another ends it, with one container, the right one."""

import json
import signal
from functools import partial
from pathlib import Path
from tempfile import NamedTemporaryFile
from typing import Any

import pytest

from landlord_engines_core.compute.docker.engine import DockerCompute
from landlord_test_target.compute_contract import healthy
from landlord_test_target.docker import WEB, TenantContainers, docker, inspect_container, spec
from landlord_test_target.docker_crashing import carry_out
from landlord_test_target.forks import fork_call

BAD = {"image": "landlord-test/sick:1"}


def worked(
    tenant: TenantContainers, *jobs: tuple[str, dict[str, str]], crash_at: str = ""
) -> list[Any]:
    """Carry out jobs in a process of their own, which may die at a point: the answers it gave."""
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
        code = fork_call(partial(carry_out, crash_at, bodies), log).join(60)
        text = log.read_text()
    assert code == (-signal.SIGKILL if crash_at else 0), text
    return [json.loads(line) for line in text.splitlines()]


@pytest.mark.parametrize("point", ["create:created", "create:started"])
async def test_a_worker_killed_in_a_create_leaves_one_container(
    engine: DockerCompute, tenant: TenantContainers, point: str
) -> None:
    worked(tenant, ("provision", {}), crash_at=point)

    worked(tenant, ("provision", {}))

    assert tenant.versions == [1]
    await healthy(engine, spec(tenant.tenant))


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
    worked(tenant, ("provision", {}))
    worked(tenant, ("update", {"image": f"{WEB}:2"}), crash_at=point)

    (answer,) = worked(tenant, ("update", desired))

    assert answer["state"] == "succeeded"
    assert tenant.versions == [version]
    assert tenant.only_container["Name"] == f"/landlord-tenant-{tenant.tenant}"
    await healthy(engine, spec(tenant.tenant, **desired))


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
    worked(tenant, ("provision", {}))
    former = tenant.ids
    worked(tenant, ("update", BAD), crash_at=point)

    result = await engine.update(spec(tenant.tenant, **BAD))

    assert result.rolled_back
    assert tenant.ids == former
    await healthy(engine, spec(tenant.tenant))


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
    worked(tenant, ("provision", {}))
    worked(tenant, ("update", desired), crash_at=point)
    (serving,) = (
        container
        for container in map(inspect_container, tenant.ids)
        if container["State"]["Running"]
    )

    worked(tenant, ("update", desired))

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
    worked(tenant, ("provision", always))
    former = tenant.only_container["Id"]
    worked(tenant, ("update", desired), crash_at=point)
    # With this policy a daemon that restarts starts a stopped container too.
    docker("start", former)

    worked(tenant, ("update", desired))

    assert tenant.versions == [2]
    await healthy(engine, spec(tenant.tenant, **desired))


@pytest.mark.parametrize("point", ["delete:stopped", "delete:removed"])
async def test_a_worker_killed_in_a_delete_leaves_nothing(
    tenant: TenantContainers, point: str
) -> None:
    worked(tenant, ("provision", {}))
    worked(tenant, ("delete", {}), crash_at=point)

    (answer,) = worked(tenant, ("delete", {}))

    assert answer["output"]["status"] in ("deleted", "absent")
    assert tenant.ids == []
