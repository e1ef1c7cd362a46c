"""A volume belongs to one tenant, and a folder of the host is mounted only if the policy allows it."""

import asyncio
from collections.abc import Callable, Iterator
from pathlib import Path
from uuid import uuid4

import pytest

from landlord_engines_core.compute.docker.engine import DockerCompute
from landlord_engines_core.errors import ComputeRefused
from landlord_test_target.compute_contract import Interrupted, wait_healthy
from landlord_test_target.docker import WEB, TenantContainers, docker, inspect_container, spec
from landlord_test_target.holding_proxy import run_holding_proxy

MakeEngine = Callable[..., DockerCompute]

REFUSED = r"\$\.volumes\[0\] is a volume that Landlord did not make for this tenant"


@pytest.fixture
def volume(tenant: TenantContainers) -> Iterator[str]:
    name = f"volume-{uuid4()}"
    yield name
    tenant.remove_all()
    docker("volume", "rm", "-f", name)


@pytest.fixture
def other_tenant(volume: str) -> Iterator[TenantContainers]:
    """Another tenant, whose container is removed before the volume."""
    assert volume
    containers = TenantContainers(str(uuid4()))
    yield containers
    containers.remove_all()


def mounted_volumes(tenant: TenantContainers) -> list[str]:
    return [mount["Name"] for mount in tenant.only_container["Mounts"]]


async def test_another_tenants_volume_is_refused_and_the_hint_says_what_allows_it(
    engine: DockerCompute, volume: str, tenant: TenantContainers, other_tenant: TenantContainers
) -> None:
    desired = {"volumes": [f"{volume}:/data"]}
    await engine.provision(spec(other_tenant.tenant, **desired))

    with pytest.raises(ComputeRefused, match=REFUSED) as caught:
        await engine.provision(spec(tenant.tenant, **desired))

    assert "compute.docker.policy.volumes" in caught.value.hint
    assert volume not in str(caught.value)
    assert tenant.ids == []


async def test_a_volume_belongs_to_its_tenant_without_a_container_too(
    engine: DockerCompute, volume: str, tenant: TenantContainers, other_tenant: TenantContainers
) -> None:
    desired = {"volumes": [f"{volume}:/data"]}
    await engine.provision(spec(other_tenant.tenant, **desired))
    await engine.destroy(other_tenant.tenant, "")

    with pytest.raises(ComputeRefused, match=REFUSED):
        await engine.provision(spec(tenant.tenant, **desired))

    await engine.provision(spec(other_tenant.tenant, **desired))
    assert mounted_volumes(other_tenant) == [volume]


async def test_a_volume_that_landlord_did_not_create_is_refused(
    engine: DockerCompute, volume: str, tenant: TenantContainers
) -> None:
    docker("volume", "create", volume)

    with pytest.raises(ComputeRefused, match=REFUSED):
        await engine.provision(spec(tenant.tenant, volumes=[f"{volume}:/data"]))

    assert tenant.ids == []


async def test_an_anonymous_volume_of_another_tenant_is_refused(
    engine: DockerCompute, tenant: TenantContainers, other_tenant: TenantContainers
) -> None:
    await engine.provision(spec(other_tenant.tenant, image="landlord-test/keeper:1"))
    (anonymous,) = mounted_volumes(other_tenant)

    with pytest.raises(ComputeRefused, match=REFUSED):
        await engine.provision(spec(tenant.tenant, volumes=[f"{anonymous}:/data"]))


async def test_an_update_to_a_refused_volume_keeps_the_serving_container(
    engine: DockerCompute, volume: str, tenant: TenantContainers
) -> None:
    docker("volume", "create", volume)
    await engine.provision(spec(tenant.tenant))
    started = tenant.only_container["State"]["StartedAt"]

    with pytest.raises(ComputeRefused, match=REFUSED):
        await engine.update(spec(tenant.tenant, volumes=[f"{volume}:/data"]))

    assert tenant.only_container["State"]["StartedAt"] == started


@pytest.mark.parametrize("exists", [True, False], ids=["there", "missing"])
async def test_a_volume_that_the_policy_names_is_shared_and_is_never_removed(
    make_engine: MakeEngine,
    volume: str,
    tenant: TenantContainers,
    other_tenant: TenantContainers,
    exists: bool,  # noqa: FBT001  # pytest gives it by name
) -> None:
    if exists:
        docker("volume", "create", volume)
    engine = make_engine(policy={"volumes": ["volume-*"]})
    desired = {"volumes": [f"{volume}:/data"], "remove_volumes": True}

    await engine.provision(spec(tenant.tenant, **desired))
    await engine.provision(spec(other_tenant.tenant, **desired))
    await engine.destroy(tenant.tenant, "")
    await engine.destroy(other_tenant.tenant, "")

    assert docker("volume", "inspect", "--format", "{{.Name}}", volume) == volume


async def test_patterns_of_the_policy_are_case_sensitive(
    make_engine: MakeEngine, volume: str, tenant: TenantContainers
) -> None:
    docker("volume", "create", volume)

    with pytest.raises(ComputeRefused, match=REFUSED):
        await make_engine(policy={"volumes": ["VOLUME-*"]}).provision(
            spec(tenant.tenant, volumes=[f"{volume}:/data"])
        )


async def test_an_adopted_tenant_keeps_its_volume_without_labels_through_updates(
    engine: DockerCompute, volume: str, tenant: TenantContainers
) -> None:
    docker("volume", "create", volume)
    tenant.create_as_landlord("-v", f"{volume}:/data")

    for version in (2, 3):
        desired = spec(tenant.tenant, image=f"{WEB}:{version}", volumes=[f"{volume}:/data"])
        await engine.update(desired)
        await wait_healthy(engine, desired)

    assert mounted_volumes(tenant) == [volume]


async def test_of_two_tenants_who_name_a_new_volume_at_once_one_gets_it(
    make_engine: MakeEngine, volume: str, tenant: TenantContainers, other_tenant: TenantContainers
) -> None:
    desired = {"volumes": [f"{volume}:/data"]}
    results = await asyncio.gather(
        *(
            make_engine().provision(spec(owner.tenant, **desired))
            for owner in (tenant, other_tenant)
        ),
        return_exceptions=True,
    )

    assert sum(isinstance(end, ComputeRefused) for end in results) == 1
    assert len([*tenant.ids, *other_tenant.ids]) == 1


async def test_a_volume_recreated_before_the_container_used_it_is_detected(
    make_engine: MakeEngine, volume: str, tenant: TenantContainers
) -> None:
    desired = spec(tenant.tenant, volumes=[f"{volume}:/data"])
    async with run_holding_proxy() as proxy:
        proxy.held_text = "/containers/create"
        job = asyncio.create_task(make_engine(host=proxy.host).provision(desired))
        await proxy.arrived.wait()
        docker("volume", "rm", volume)
        docker("volume", "create", volume)
        proxy.released.set()

        with pytest.raises(ComputeRefused, match="these fields differ: Mounts"):
            await job

    assert tenant.ids == []


async def test_a_leftover_container_is_not_started_with_a_volume_of_another_tenant(
    make_engine: MakeEngine, volume: str, tenant: TenantContainers
) -> None:
    def reached(at: str) -> None:
        if at == "create:created":
            raise Interrupted(at)

    desired = spec(tenant.tenant, volumes=[f"{volume}:/data"])
    async with run_holding_proxy() as proxy:
        proxy.held_text = "/containers/create"
        interrupted = make_engine(reached, host=proxy.host)
        job = asyncio.create_task(interrupted.provision(desired))
        await proxy.arrived.wait()
        docker("volume", "rm", volume)
        docker("volume", "create", volume)
        proxy.released.set()
        with pytest.raises(Interrupted):
            await job

    with pytest.raises(ComputeRefused, match=REFUSED):
        await make_engine().provision(desired)

    assert tenant.only_container["State"]["Status"] == "created"


def create_bind_volume(volume: str, device: str) -> None:
    """Create a volume that is a folder of the host."""
    options = ("--opt=type=none", "--opt=o=bind", f"--opt=device={device}")
    docker("volume", "create", *options, volume)


@pytest.mark.parametrize("device", ["/etc", "etc"])
async def test_a_volume_that_binds_a_folder_of_the_host_is_refused(
    make_engine: MakeEngine, volume: str, tenant: TenantContainers, device: str
) -> None:
    create_bind_volume(volume, device)
    desired = spec(tenant.tenant, volumes=[f"{volume}:/data:ro"])

    with pytest.raises(ComputeRefused, match=REFUSED):
        await make_engine().provision(desired)
    with pytest.raises(ComputeRefused, match="these fields differ: Mounts"):
        await make_engine(policy={"volumes": [volume]}).provision(desired)

    assert tenant.ids == []


async def test_a_container_is_not_started_again_with_what_the_policy_no_longer_allows(
    make_engine: MakeEngine, volume: str, tenant: TenantContainers
) -> None:
    create_bind_volume(volume, "/etc")
    desired = spec(tenant.tenant, volumes=[f"{volume}:/data:ro"])
    await make_engine(policy={"volumes": [volume], "bind_roots": ["/etc"]}).provision(desired)
    docker("stop", "-t0", tenant.only_container["Id"])

    with pytest.raises(ComputeRefused, match="these fields differ: Mounts"):
        await make_engine(policy={"volumes": [volume]}).provision(desired)

    assert tenant.only_container["State"]["Status"] == "exited"


async def test_a_container_is_inspected_before_it_is_started(
    make_engine: MakeEngine, volume: str, tenant: TenantContainers
) -> None:
    def reached(at: str) -> None:
        if at == "create:created":
            raise Interrupted(at)

    create_bind_volume(volume, "/etc")
    desired = spec(tenant.tenant, volumes=[f"{volume}:/data:ro"])
    with pytest.raises(Interrupted):
        await make_engine(reached, policy={"volumes": [volume]}).provision(desired)
    assert tenant.only_container["State"]["Status"] == "created"

    with pytest.raises(ComputeRefused, match="these fields differ: Mounts"):
        await make_engine(policy={"volumes": [volume]}).provision(desired)

    assert tenant.ids == []


async def test_a_bind_of_the_folder_of_a_volume_is_refused_below_a_wide_root(
    make_engine: MakeEngine, volume: str, tenant: TenantContainers
) -> None:
    docker("volume", "create", volume)
    folder = docker("volume", "inspect", "--format", "{{.Mountpoint}}", volume)
    wide = make_engine(policy={"bind_roots": ["/var"]})

    for source in (folder, str(Path(folder).parent), "/var", "/var/lib"):
        with pytest.raises(ComputeRefused, match=r"\$\.volumes\[0\] is a folder .* daemon's data"):
            await wide.provision(spec(tenant.tenant, volumes=[f"{source}:/data:ro"]))
    assert tenant.ids == []

    narrow = make_engine(policy={"bind_roots": [folder]})
    await narrow.provision(spec(tenant.tenant, volumes=[f"{folder}:/data:ro"]))
    assert len(tenant.ids) == 1


async def test_a_worker_without_a_view_of_the_host_mounts_only_the_allowed_roots(
    make_engine: MakeEngine, tenant: TenantContainers, tmp_path: Path
) -> None:
    (tmp_path / "link").symlink_to("/etc")
    async with run_holding_proxy() as proxy:
        remote = make_engine(host=proxy.host, policy={"bind_roots": [str(tmp_path)]})

        with pytest.raises(ComputeRefused, match=r"a host path in \$.volumes\[0\]"):
            await remote.provision(spec(tenant.tenant, volumes=[f"{tmp_path}/link:/data:ro"]))
        await remote.provision(spec(tenant.tenant, volumes=[f"{tmp_path}:/data:ro"]))

    assert [mount["Source"] for mount in inspect_container(tenant.ids[0])["Mounts"]] == [
        str(tmp_path)
    ]
