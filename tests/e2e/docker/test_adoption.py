"""A container of Landlord's own worker is adopted without a restart if nothing differs."""

from collections.abc import Mapping

import pytest

from landlord_engines_core.compute.docker.engine import DockerCompute
from landlord_test_target.docker import SETTINGS, WEB, TenantContainers, docker, spec
from landlord_test_target.harness import Harness

CONFIG: Mapping[str, object] = {
    "image": f"docker.io/{WEB}:1",
    "env": {"COLOUR": "red"},
    "ports": [{"container_port": 8080}],
    "labels": {"team": "blue"},
}
OPTIONS = ("--env", "COLOUR=red", "--publish", "0.0.0.0::8080", "--label", "team=blue")
"""`CONFIG` as options of `docker run`, as Landlord's own worker applies it."""


async def test_the_first_update_without_a_difference_restarts_nothing(
    harness: Harness, tenant: TenantContainers
) -> None:
    config = harness.config(compute_provider="docker", resync_after="1s")
    config["compute"]["docker"] = SETTINGS
    await (await harness.launch(config)).wait_registered()
    container = tenant.create_as_landlord(*OPTIONS)
    before = tenant.only_container

    outcomes = [await harness.run(tenant.tenant, "update", "docker", **CONFIG) for _ in range(2)]

    assert outcomes == ["unchanged", "unchanged"]
    assert tenant.ids == [container]
    assert tenant.only_container["State"] == before["State"]
    assert await harness.run(tenant.tenant, "update", "docker", **{**CONFIG, "image": f"{WEB}:2"})
    assert tenant.versions == [2]


@pytest.mark.parametrize(
    "difference",
    [
        {"image": f"{WEB}:2"},
        {"env": {}},
        {"env": {"COLOUR": "blue"}},
        {"ports": []},
        {"labels": {"team": "red"}},
        {"labels": {}},
        {"command": ["sleep", "1000"]},
        {"user": "nobody"},
        {"restart_policy": "always"},
        {"resources": {"memory": 64}},
        {"health_check": {"type": "tcp", "port": 8080}},
        {"remove_volumes": True},
        {"volumes": ["data:/data"]},
        {"read_only": True},
    ],
    ids=str,
)
async def test_every_difference_is_detected(
    engine: DockerCompute, tenant: TenantContainers, difference: dict[str, object]
) -> None:
    tenant.create_as_landlord(*OPTIONS)
    assert await engine.matches(spec(tenant.tenant, **CONFIG))

    assert not await engine.matches(spec(tenant.tenant, **{**CONFIG, **difference}))


async def test_a_container_whose_image_was_renamed_differs(
    engine: DockerCompute, tenant: TenantContainers
) -> None:
    docker("tag", f"{WEB}:1", f"{WEB}:{tenant.tenant}")
    labels = [("owner", "landlord"), ("tenant_id", tenant.tenant), ("provider", "docker")]
    options = [part for key, value in labels for part in ("--label", f"landlord.{key}={value}")]
    name = f"landlord-tenant-{tenant.tenant}"
    options += ["--restart=unless-stopped", f"--name={name}"]
    docker("run", "-d", *options, f"{WEB}:{tenant.tenant}")
    desired = spec(tenant.tenant, image=f"{WEB}:{tenant.tenant}")
    assert await engine.matches(desired)

    docker("tag", f"{WEB}:2", f"{WEB}:{tenant.tenant}")
    try:
        assert not await engine.matches(desired)
    finally:
        docker("rmi", "-f", f"{WEB}:{tenant.tenant}")


async def test_a_missing_container_and_one_of_ours_are_not_adopted(
    engine: DockerCompute, tenant: TenantContainers
) -> None:
    assert not await engine.matches(spec(tenant.tenant))
    await engine.provision(spec(tenant.tenant))

    assert not await engine.matches(spec(tenant.tenant))
