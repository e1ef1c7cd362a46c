"""If a worker died in a switch and no other continues, `restore` makes the tenant serve again."""

from collections.abc import Callable

import pytest

from landlord_engines_core.compute import ResourceState
from landlord_engines_core.compute.docker.engine import DockerCompute
from landlord_test_target.compute_contract import Interrupted, wait_healthy
from landlord_test_target.docker import WEB, TenantContainers, docker, spec
from landlord_test_target.harness import wait_for

MakeEngine = Callable[..., DockerCompute]

GOOD, BAD = f"{WEB}:2", "landlord-test/sick:1"


def interrupt_at(point: str) -> Callable[[str], None]:
    def reached(at: str) -> None:
        if at == point:
            raise Interrupted(at)

    return reached


async def interrupt_update(
    make_engine: MakeEngine, tenant: TenantContainers, point: str, image: str
) -> None:
    """Update a tenant with an interruption at this failpoint."""
    await make_engine().provision(spec(tenant.tenant))
    await wait_healthy(make_engine(), spec(tenant.tenant))
    with pytest.raises(Interrupted):
        await make_engine(interrupt_at(point)).update(spec(tenant.tenant, image=image))


async def wait_exited(tenant: TenantContainers) -> None:
    async def check() -> bool:
        return bool(tenant.only_container["State"]["Status"] == "exited")

    await wait_for(check)


@pytest.mark.parametrize(
    ("point", "image", "serving"),
    [
        ("update:created", GOOD, f"{WEB}:1"),
        ("update:stopped", GOOD, f"{WEB}:1"),
        ("update:started", GOOD, GOOD),
        ("update:healthy", GOOD, GOOD),
        ("update:removed", GOOD, GOOD),
        ("update:started", BAD, f"{WEB}:1"),
        ("rollback:stopped", BAD, f"{WEB}:1"),
        ("rollback:started", BAD, f"{WEB}:1"),
    ],
)
async def test_restore_after_an_interrupted_update_leaves_one_container_that_serves(
    make_engine: MakeEngine, tenant: TenantContainers, point: str, image: str, serving: str
) -> None:
    await interrupt_update(make_engine, tenant, point, image)

    assert await make_engine().restore(tenant.tenant, "")

    assert tenant.only_container["Config"]["Image"] == serving
    assert tenant.only_container["Name"] == f"/landlord-tenant-{tenant.tenant}"
    await wait_healthy(make_engine(), spec(tenant.tenant, image=serving))
    assert not await make_engine().restore(tenant.tenant, "")


async def test_a_stopped_container_is_started_by_restore(
    engine: DockerCompute, tenant: TenantContainers
) -> None:
    await engine.provision(spec(tenant.tenant))
    docker("stop", "-t0", tenant.only_container["Id"])

    assert await engine.restore(tenant.tenant, "")

    await wait_healthy(engine, spec(tenant.tenant))


async def test_restore_leaves_a_container_that_ended_by_itself(
    engine: DockerCompute, tenant: TenantContainers
) -> None:
    await engine.provision(spec(tenant.tenant, command=["sh", "-c", "exit 0"], restart_policy="no"))
    await wait_exited(tenant)

    assert not await engine.restore(tenant.tenant, "")

    assert tenant.only_container["State"]["Status"] == "exited"


async def test_restore_creates_no_container(
    engine: DockerCompute, tenant: TenantContainers
) -> None:
    assert not await engine.restore(tenant.tenant, "")

    assert tenant.ids == []


@pytest.mark.parametrize(
    ("point", "restored"), [("update:stopped", False), ("update:started", True)]
)
async def test_restore_promotes_the_next_container_only_if_it_runs(
    make_engine: MakeEngine, tenant: TenantContainers, point: str, *, restored: bool
) -> None:
    engine = make_engine()
    await engine.provision(spec(tenant.tenant, command=["sh", "-c", "exit 1"], restart_policy="no"))
    await wait_exited(tenant)
    with pytest.raises(Interrupted):
        await make_engine(interrupt_at(point)).update(spec(tenant.tenant))

    assert await engine.restore(tenant.tenant, "") is restored

    state = (await engine.inspect(tenant.tenant, "")).state
    assert (state is ResourceState.FAILED) is not restored
