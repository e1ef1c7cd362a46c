"""Objects that a container refers to are removed and recreated; the next job repairs the tenant.

The objects are the network, the partner (a container whose network the tenant shares) and the image.
"""

import json
from collections.abc import Callable, Iterator

import pytest

from landlord_engines_core.compute import ResourceState
from landlord_engines_core.compute.docker.engine import DockerCompute
from landlord_engines_core.errors import ComputeRefused
from landlord_test_target.compute_contract import Interrupted, wait_healthy
from landlord_test_target.docker import WEB, TenantContainers, docker, spec
from landlord_test_target.in_memory import InMemorySteps, build_tenant_jobs

MakeEngine = Callable[..., DockerCompute]

SHARING = {"policy": {"container_network": True}}


@pytest.fixture
def network(tenant: TenantContainers) -> Iterator[str]:
    """A new network for each test."""
    name = f"network-{tenant.tenant}"
    docker("network", "create", name)
    yield name
    tenant.remove_all()
    docker("network", "rm", name)


@pytest.fixture
def partner(tenant: TenantContainers) -> Iterator[str]:
    """A container whose network other containers share."""
    name = f"partner-{tenant.tenant}"
    make_partner(name)
    yield name
    tenant.remove_all()
    docker("rm", "-f", name)


@pytest.fixture
def image(tenant: TenantContainers) -> Iterator[str]:
    """A new image name for each test, which refers to version 1."""
    name = f"landlord-test/moved:{tenant.tenant}"
    docker("tag", f"{WEB}:1", name)
    yield name
    tenant.remove_all()
    if docker("images", "-q", name):
        docker("rmi", name)


def make_partner(name: str) -> None:
    docker("run", "-d", "--name", name, f"{WEB}:3", "sleep", "1000")


def recreate_network(network: str) -> None:
    docker("network", "rm", network)
    docker("network", "create", network)


async def detail(engine: DockerCompute, tenant: TenantContainers) -> str:
    """Return the detail of a tenant whose container has failed."""
    observed = await engine.inspect(tenant.tenant, "")
    assert observed.state is ResourceState.FAILED
    return observed.detail


async def test_a_stopped_tenant_starts_on_a_recreated_network_and_keeps_its_files(
    make_engine: MakeEngine, tenant: TenantContainers, network: str
) -> None:
    engine, desired = make_engine(network_name=network), spec(tenant.tenant)
    await engine.provision(desired)
    before = tenant.only_container["Id"]
    docker("stop", "-t0", before)
    recreate_network(network)

    await engine.provision(desired)

    await wait_healthy(engine, desired)
    assert tenant.only_container["Id"] == before


async def test_a_stopped_tenant_starts_again_after_its_network_was_removed(
    make_engine: MakeEngine, tenant: TenantContainers, network: str
) -> None:
    engine, desired = make_engine(network_name=network), spec(tenant.tenant)
    await engine.provision(desired)
    docker("stop", "-t0", tenant.only_container["Id"])
    docker("network", "rm", network)

    assert await engine.restore(tenant.tenant, "")

    await wait_healthy(engine, desired)


async def test_the_previous_container_is_restored_on_a_recreated_network(
    make_engine: MakeEngine, tenant: TenantContainers, network: str
) -> None:
    def reached(at: str) -> None:
        if at == "update:stopped":
            raise Interrupted(at)

    engine, desired = make_engine(network_name=network), spec(tenant.tenant)
    sick = spec(tenant.tenant, image="landlord-test/sick:1")
    await engine.provision(desired)
    await wait_healthy(engine, desired)
    with pytest.raises(Interrupted):
        await make_engine(reached, network_name=network).update(sick)
    recreate_network(network)

    assert (await engine.update(sick)).rolled_back

    await wait_healthy(engine, desired)


async def test_a_stopped_tenant_is_recreated_with_its_recreated_partner(
    make_engine: MakeEngine, tenant: TenantContainers, partner: str
) -> None:
    engine = make_engine(**SHARING)
    desired = spec(tenant.tenant, network_mode=f"container:{partner}", image=f"{WEB}:2")
    await engine.provision(desired)
    docker("stop", "-t0", tenant.only_container["Id"])
    docker("rm", "-f", partner)
    make_partner(partner)

    await engine.provision(desired)

    await wait_healthy(engine, desired)


@pytest.mark.parametrize(
    ("acts", "expected"),
    [
        (("rm -f {}", "run"), "recreated"),
        (("rename {} {}-old", "run"), "recreated"),
        (("restart -t0 {}",), "restarted"),
    ],
    ids=["removed", "renamed", "restarted"],
)
async def test_a_running_tenant_joins_its_recreated_partner(
    make_engine: MakeEngine,
    tenant: TenantContainers,
    partner: str,
    acts: tuple[str, ...],
    expected: str,
) -> None:
    engine = make_engine(**SHARING)
    desired = spec(tenant.tenant, network_mode=f"container:{partner}", image=f"{WEB}:2")
    await engine.provision(desired)
    await wait_healthy(engine, desired)
    try:
        for act in acts:
            if act == "run":
                make_partner(partner)
            else:
                docker(*act.replace("{}", partner).split())
        assert expected in await detail(engine, tenant)

        await engine.update(desired)

        await wait_healthy(engine, desired)
        (now,) = json.loads(docker("container", "inspect", partner))
        assert tenant.only_container["HostConfig"]["NetworkMode"] == f"container:{now['Id']}"
    finally:
        if "rename" in acts[0]:
            docker("rm", "-f", f"{partner}-old")


async def test_a_missing_partner_is_named_and_the_serving_container_is_kept(
    make_engine: MakeEngine, tenant: TenantContainers, partner: str
) -> None:
    engine = make_engine(**SHARING)
    desired = spec(tenant.tenant, network_mode=f"container:{partner}", image=f"{WEB}:2")
    await engine.provision(desired)
    await wait_healthy(engine, desired)
    before = tenant.only_container["Id"]
    docker("rm", "-f", partner)
    assert "is gone" in await detail(engine, tenant)

    with pytest.raises(ComputeRefused, match=r"\$\.network_mode names does not exist"):
        await engine.update(desired)

    assert tenant.only_container["Id"] == before
    assert tenant.only_container["State"]["Running"]
    make_partner(partner)


async def test_a_partner_that_does_not_run_is_named(
    make_engine: MakeEngine, tenant: TenantContainers, partner: str
) -> None:
    docker("stop", "-t0", partner)

    with pytest.raises(ComputeRefused, match=r"\$\.network_mode names does not run"):
        await make_engine(**SHARING).provision(
            spec(tenant.tenant, network_mode=f"container:{partner}")
        )


@pytest.mark.parametrize("stopped", [False, True], ids=["running", "stopped"])
async def test_the_next_job_runs_an_image_that_was_rebuilt_under_its_name(
    engine: DockerCompute,
    tenant: TenantContainers,
    image: str,
    stopped: bool,  # noqa: FBT001  # pytest gives it by name
) -> None:
    body = json.dumps(
        {"tenant_id": tenant.tenant, "operation": "update", "desired_config": {"image": image}}
    ).encode()
    runs = build_tenant_jobs(("docker", engine), health_timeout=20)
    await runs.run(body, InMemorySteps())
    if stopped:
        docker("stop", "-t0", tenant.only_container["Id"])
    docker("tag", f"{WEB}:2", image)

    answers = [await runs.run(body, InMemorySteps()) for _ in range(2)]

    assert [answer.output.status for answer in answers] == ["updated", "unchanged"]
    assert tenant.only_container["Image"] == docker(
        "image", "inspect", "--format", "{{.Id}}", f"{WEB}:2"
    )


async def test_a_running_tenant_whose_image_lost_its_name_is_left_alone(
    engine: DockerCompute, tenant: TenantContainers, image: str
) -> None:
    desired = spec(tenant.tenant, image=image)
    await engine.provision(desired)
    await wait_healthy(engine, desired)
    before = tenant.only_container["Id"]
    docker("rmi", image)

    await engine.provision(desired)

    await wait_healthy(engine, desired)
    assert tenant.only_container["Id"] == before
