"""A container's own volumes are removed with it, by one rule for every removal."""

from collections.abc import Callable, Iterator

import attrs
import pytest

from landlord_engines_core.compute.docker.engine import DockerCompute
from landlord_test_target.compute_contract import Interrupted, wait_healthy
from landlord_test_target.docker import WEB, TenantContainers, docker, inspect_container, spec

MakeEngine = Callable[..., DockerCompute]

KEEPER = "landlord-test/keeper:1"


@attrs.frozen
class VolumeRecorder:
    """A failpoint that records the volumes of the tenant's containers, and may interrupt the act.

    Other tests create volumes at the same time, so a list of the daemon's volumes would not do.
    """

    tenant: TenantContainers
    seen: set[str] = attrs.field(factory=set)
    interrupts_at: list[str] = attrs.field(factory=list)

    def __call__(self, at: str) -> None:
        self.collect()
        if at in self.interrupts_at:
            self.interrupts_at.remove(at)
            raise Interrupted(at)

    def collect(self) -> None:
        for container in self.tenant.ids:
            self.seen.update(mount["Name"] for mount in inspect_container(container)["Mounts"])

    @property
    def remaining(self) -> set[str]:
        self.collect()
        return self.seen & set(docker("volume", "ls", "-q").splitlines())


@pytest.fixture
def volumes(tenant: TenantContainers) -> Iterator[VolumeRecorder]:
    volumes = VolumeRecorder(tenant)
    yield volumes
    left = volumes.remaining
    tenant.remove_all()
    for name in left:
        docker("volume", "rm", "-f", name)


@pytest.fixture
def engine(make_engine: MakeEngine, volumes: VolumeRecorder) -> DockerCompute:
    return make_engine(volumes)


def mounted_volumes(tenant: TenantContainers) -> set[str]:
    return {mount["Name"] for mount in tenant.only_container["Mounts"]}


@pytest.mark.parametrize("removes_volumes", [True, False], ids=["removed", "kept"])
async def test_updates_remove_the_anonymous_volume_of_the_previous_container_if_configured(
    engine: DockerCompute,
    tenant: TenantContainers,
    volumes: VolumeRecorder,
    removes_volumes: bool,  # noqa: FBT001  # pytest gives it by name
) -> None:
    for version in range(5):
        desired = spec(
            tenant.tenant,
            image=KEEPER,
            remove_volumes=removes_volumes,
            env={"VERSION": str(version)},
        )
        await engine.update(desired)

    assert len(volumes.remaining) == (1 if removes_volumes else 5)
    assert mounted_volumes(tenant) <= volumes.remaining
    await engine.destroy(tenant.tenant, "")
    assert len(volumes.remaining) == (0 if removes_volumes else 5)


@pytest.mark.parametrize(("before", "after"), [(True, False), (False, True)])
async def test_an_update_removes_a_volume_only_where_both_configurations_say_so(
    engine: DockerCompute,
    tenant: TenantContainers,
    volumes: VolumeRecorder,
    *,
    before: bool,
    after: bool,
) -> None:
    await engine.provision(spec(tenant.tenant, image=KEEPER, remove_volumes=before))
    first = mounted_volumes(tenant)

    await engine.update(spec(tenant.tenant, image=KEEPER, remove_volumes=after))

    assert first < volumes.remaining


async def test_a_rollback_removes_the_volume_of_the_failed_container_only(
    engine: DockerCompute, tenant: TenantContainers, volumes: VolumeRecorder
) -> None:
    desired = spec(tenant.tenant, image=KEEPER, remove_volumes=True)
    await engine.provision(desired)
    await wait_healthy(engine, desired)

    failing = spec(
        tenant.tenant, image=KEEPER, remove_volumes=True, command=["false"], restart_policy="no"
    )
    assert (await engine.update(failing)).rolled_back

    assert volumes.remaining == mounted_volumes(tenant)


@pytest.mark.parametrize("removes_volumes", [True, False], ids=["removed", "kept"])
async def test_a_container_that_never_started_leaves_no_volume(
    engine: DockerCompute,
    tenant: TenantContainers,
    volumes: VolumeRecorder,
    removes_volumes: bool,  # noqa: FBT001  # pytest gives it by name
) -> None:
    first = spec(tenant.tenant, image=KEEPER, remove_volumes=removes_volumes)
    await engine.provision(first)
    await wait_healthy(engine, first)
    interrupted = spec(tenant.tenant, image=KEEPER, remove_volumes=removes_volumes, env={"A": "b"})
    volumes.interrupts_at.append("update:created")
    with pytest.raises(Interrupted):
        await engine.update(interrupted)
    assert len(volumes.remaining) == 2

    await engine.provision(first)

    assert volumes.remaining == mounted_volumes(tenant)


async def test_an_orphan_is_removed_with_its_volume(
    engine: DockerCompute, tenant: TenantContainers, volumes: VolumeRecorder
) -> None:
    desired = spec(tenant.tenant, image=KEEPER, remove_volumes=True)
    await engine.provision(desired)
    labels = tenant.only_container["Config"]["Labels"]
    options = [f"--label={name}={value}" for name, value in labels.items()]
    docker("run", "-d", *options, KEEPER)
    assert len(volumes.remaining) == 2

    await engine.provision(desired)

    assert volumes.remaining == mounted_volumes(tenant)


async def test_a_container_that_restore_removes_is_removed_with_its_volume(
    engine: DockerCompute, tenant: TenantContainers, volumes: VolumeRecorder
) -> None:
    desired = spec(tenant.tenant, image=KEEPER, remove_volumes=True)
    await engine.provision(desired)
    await wait_healthy(engine, desired)
    interrupted = spec(tenant.tenant, image=KEEPER, remove_volumes=True, env={"A": "b"})
    volumes.interrupts_at.append("update:stopped")
    with pytest.raises(Interrupted):
        await engine.update(interrupted)

    assert await engine.restore(tenant.tenant, "")

    assert volumes.remaining == mounted_volumes(tenant)


async def test_a_named_volume_that_an_update_dropped_stays_until_the_delete(
    engine: DockerCompute, tenant: TenantContainers, volumes: VolumeRecorder
) -> None:
    first, second = f"first-{tenant.tenant}", f"second-{tenant.tenant}"
    for volume, version in ((first, 1), (second, 2), (second, 3)):
        desired = {"volumes": [f"{volume}:/data"], "remove_volumes": True}
        await engine.update(spec(tenant.tenant, image=f"{WEB}:{version}", **desired))
    assert volumes.remaining == {first, second}

    await engine.destroy(tenant.tenant, "")

    assert volumes.remaining == set()


async def test_a_configuration_that_keeps_volumes_keeps_dropped_ones_too(
    engine: DockerCompute, tenant: TenantContainers, volumes: VolumeRecorder
) -> None:
    own_volume = f"mine-{tenant.tenant}"
    await engine.provision(spec(tenant.tenant, volumes=[f"{own_volume}:/a"], remove_volumes=True))
    await engine.update(spec(tenant.tenant))
    await engine.update(spec(tenant.tenant, remove_volumes=True))

    await engine.destroy(tenant.tenant, "")

    assert volumes.remaining == {own_volume}
