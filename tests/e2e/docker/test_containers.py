"""A tenant's container, in normal operation and after failures."""

import asyncio
import json
from collections.abc import Callable
from pathlib import Path
from subprocess import PIPE, Popen
from typing import Any
from uuid import uuid4

import aiohttp
import pytest

from landlord_engines_core.compute import ComputeSpec, ResourceState
from landlord_engines_core.compute.docker.config import read_config
from landlord_engines_core.compute.docker.engine import DockerCompute
from landlord_engines_core.compute.docker.requests import build_body
from landlord_engines_core.errors import ComputeRefused, ComputeUnavailable
from landlord_test_target.compute_contract import Interrupted, wait_healthy
from landlord_test_target.docker import WEB, TenantContainers, docker, inspect_container, spec
from landlord_test_target.harness import free_port, wait_for
from landlord_test_target.in_memory import InMemorySteps, build_tenant_jobs

MakeEngine = Callable[..., DockerCompute]

SHIMS = Path("/run/docker/containerd/daemon/io.containerd.runtime.v2.task/moby")


async def wait_failed(engine: DockerCompute, desired: ComputeSpec) -> str:
    """Wait until a container has failed, and return the detail."""

    async def check() -> str:
        observed = await engine.inspect(desired.tenant, "")
        return observed.detail if observed.state is ResourceState.FAILED else ""

    return await wait_for(check)


async def test_a_container_is_as_its_tenant_wants_it(
    engine: DockerCompute, tenant: TenantContainers
) -> None:
    desired = spec(
        tenant.tenant,
        env={"GREETING": "a=b c"},
        labels={"team": "a", "landlord.owner": "somebody", "landlord.config_hash": "forged"},
        resources={"cpu": 250, "memory": 32},
        restart_policy="on-failure",
        user="1000:1000",
        read_only=True,
        volumes=[f"{tenant.tenant}:/data"],
    )

    await engine.provision(desired)
    await wait_healthy(engine, desired)

    result = tenant.only_container
    assert result["Name"] == f"/landlord-tenant-{tenant.tenant}"
    assert result["Config"]["Labels"]["team"] == "a"
    assert result["Config"]["Labels"]["landlord.owner"] == "landlord"
    assert result["Config"]["Labels"]["landlord.config_hash"] == desired.config_hash
    assert result["HostConfig"]["RestartPolicy"]["Name"] == "on-failure"
    assert result["HostConfig"]["NanoCpus"] == 250_000_000
    assert result["HostConfig"]["Memory"] == 32 * 1024 * 1024
    inside = docker(
        "exec", result["Id"], "sh", "-c", "echo $GREETING; id -u; echo x 2>&1 >/x || true"
    )
    assert inside.splitlines()[:2] == ["a=b c", "1000"]
    assert "Read-only" in inside


async def test_a_process_of_a_tenant_has_no_more_rights_than_it_needs(
    engine: DockerCompute, tenant: TenantContainers
) -> None:
    await engine.provision(spec(tenant.tenant))

    status = docker("exec", tenant.only_container["Id"], "cat", "/proc/1/status")

    assert "NoNewPrivs:\t1" in status
    assert "Seccomp:\t2" in status
    assert tenant.only_container["HostConfig"]["PidsLimit"] == 512


async def test_a_free_host_port_is_chosen_and_reported(
    engine: DockerCompute, tenant: TenantContainers, http: aiohttp.ClientSession
) -> None:
    fixed = free_port()
    ports = [{"container_port": 8080}, {"container_port": 8080, "host_port": fixed}]
    desired = spec(tenant.tenant, ports=ports, health_check={"type": "http", "port": 8080})

    result = await engine.provision(desired)
    await wait_healthy(engine, desired)

    host_ports = result.resource_ids["8080/tcp"].split(",")
    assert str(fixed) in host_ports
    assert len(host_ports) == 2
    for port in host_ports:
        async with http.get(f"http://127.0.0.1:{port}/") as answer:
            assert await answer.text() == "1"


async def test_a_port_that_is_taken_is_refused_by_name_and_repaired_by_another(
    engine: DockerCompute, tenant: TenantContainers
) -> None:
    taken = free_port()
    other = TenantContainers(str(uuid4()))
    await engine.provision(spec(other.tenant, ports=[{"container_port": 80, "host_port": taken}]))

    with pytest.raises(ComputeRefused, match=r"a host port in \$.ports is taken") as caught:
        await engine.provision(
            spec(tenant.tenant, ports=[{"container_port": 80, "host_port": taken}])
        )
    await engine.update(spec(tenant.tenant, ports=[{"container_port": 80}]))

    assert str(taken) not in str(caught.value)
    await wait_healthy(engine, spec(tenant.tenant, ports=[{"container_port": 80}]))
    other.remove_all()


async def test_a_network_is_created_once_and_differs_from_one_with_a_similar_name(
    make_engine: MakeEngine, tenant: TenantContainers
) -> None:
    name = f"net-{tenant.tenant[:8]}"
    docker("network", "create", f"{name}-more")
    try:
        for engine in (make_engine(network_name=name), make_engine(network_name=name)):
            await engine.provision(spec(tenant.tenant))

        networks = docker("network", "ls", "--format", "{{.Name}}", "--filter", f"name={name}")
        assert sorted(networks.splitlines()) == [name, f"{name}-more"]
        assert list(tenant.only_container["NetworkSettings"]["Networks"]) == [name]
    finally:
        tenant.remove_all()
        docker("network", "rm", name, f"{name}-more")


async def test_two_workers_that_need_a_network_at_once_create_one(
    make_engine: MakeEngine, tenant: TenantContainers
) -> None:
    name = f"net-{tenant.tenant[:8]}"
    workers = [make_engine(network_name=name) for _ in range(4)]
    others = [TenantContainers(str(uuid4())) for _ in workers]
    try:
        await asyncio.gather(
            *(worker.provision(spec(t.tenant)) for worker, t in zip(workers, others, strict=True))
        )

        assert docker("network", "ls", "-q", "--filter", f"name={name}").count("\n") == 0
    finally:
        for other in others:
            other.remove_all()
        for network in docker("network", "ls", "-q", "--filter", f"name={name}").splitlines():
            docker("network", "rm", network)


async def test_a_prefix_names_containers_and_adds_its_labels(
    make_engine: MakeEngine, tenant: TenantContainers
) -> None:
    before, after = make_engine(), make_engine(label_prefix="acme")
    desired = spec(tenant.tenant)
    await before.provision(desired)
    await wait_healthy(before, desired)

    await after.provision(spec(tenant.tenant, env={"A": "b"}))

    assert tenant.only_container["Name"] == f"/acme-tenant-{tenant.tenant}"
    assert tenant.only_container["Config"]["Labels"]["acme.tenant_id"] == tenant.tenant
    assert len(tenant.ids) == 1


async def test_a_container_without_a_network_is_healthy(
    engine: DockerCompute, tenant: TenantContainers
) -> None:
    desired = spec(tenant.tenant, network_mode="none")

    await engine.provision(desired)

    await wait_healthy(engine, desired)


async def test_a_container_on_the_host_network_is_checked_there(
    make_engine: MakeEngine, tenant: TenantContainers
) -> None:
    engine, port = make_engine(policy={"host_network": True}), free_port()
    desired = spec(
        tenant.tenant,
        network_mode="host",
        command=["httpd", "-f", "-p", f"127.0.0.1:{port}", "-h", "/www"],
        health_check={"type": "http", "port": port},
    )

    await engine.provision(desired)

    await wait_healthy(engine, desired)


async def test_a_container_on_the_network_of_another_container_is_healthy(
    make_engine: MakeEngine, tenant: TenantContainers
) -> None:
    engine, other = make_engine(policy={"container_network": True}), TenantContainers(str(uuid4()))
    await engine.provision(spec(other.tenant))
    desired = spec(
        tenant.tenant,
        network_mode=f"container:{other.only_container['Id'][:12]}",
        command=["sleep", "99"],
    )

    await engine.provision(desired)

    await wait_healthy(engine, desired)
    other.remove_all()


@pytest.mark.parametrize("check", [{"type": "http", "http_path": "/index.html"}, {"type": "tcp"}])
async def test_a_health_check_uses_the_address_of_the_container(
    engine: DockerCompute, tenant: TenantContainers, check: dict[str, object]
) -> None:
    desired = spec(tenant.tenant, health_check={**check, "port": 8080})

    await engine.provision(desired)

    await wait_healthy(engine, desired)


@pytest.mark.parametrize(
    "check",
    [
        {"type": "http", "port": 8080, "http_path": "/missing"},
        {"type": "http", "port": 81},
        {"type": "tcp", "port": 81},
    ],
    ids=repr,
)
async def test_a_container_that_does_not_answer_its_check_fails(
    make_engine: MakeEngine, tenant: TenantContainers, check: dict[str, object]
) -> None:
    # Docker's proxy accepts connections to a published port, even if no program listens behind it.
    ports = [{"container_port": check["port"]}]
    engine, desired = (
        make_engine(health_timeout=1),
        spec(tenant.tenant, health_check=check, ports=ports),
    )

    await engine.provision(desired)

    assert await wait_failed(engine, desired) == "it does not answer its health check"


async def test_an_images_own_check_decides(engine: DockerCompute, tenant: TenantContainers) -> None:
    well, sick = (spec(tenant.tenant, image=f"landlord-test/{kind}:1") for kind in ("well", "sick"))

    await engine.provision(sick)
    assert await wait_failed(engine, sick) == "its own check says unhealthy"
    await engine.update(well)

    assert (await wait_healthy(engine, well)).detail == "its own check says healthy"


async def test_a_crash_loop_is_never_healthy(
    engine: DockerCompute, tenant: TenantContainers
) -> None:
    desired = spec(tenant.tenant, command=["sh", "-c", "exit 3"])

    await engine.provision(desired)

    assert "restarts again and again" in await wait_failed(engine, desired)


async def test_a_program_that_ends_is_reported_with_its_exit_code(
    engine: DockerCompute, tenant: TenantContainers
) -> None:
    desired = spec(tenant.tenant, command=["sh", "-c", "exit 3"], restart_policy="no")

    await engine.provision(desired)

    assert await wait_failed(engine, desired) == "it has ended with 3"


@pytest.mark.parametrize(
    ("config", "message"),
    [
        ({"command": ["no-such-thing"]}, "the image does not have the command"),
        ({"user": "nobody-here"}, r"the image does not have the user in \$.user"),
        (
            {"resources": {"cpu": 1_000_000}},
            r"\$.resources.cpu is more than the daemon's machine has",
        ),
        ({"resources": {"memory": 1}}, r"\$.resources.memory is less than the daemon allows"),
        ({"image": "UPPER:1"}, r"\$.image is not an image reference"),
    ],
    ids=repr,
)
async def test_a_refusal_of_the_daemon_is_reported_in_our_words(
    engine: DockerCompute, tenant: TenantContainers, config: dict[str, object], message: str
) -> None:
    with pytest.raises(ComputeRefused, match=message):
        await engine.provision(spec(tenant.tenant, **config))


async def test_a_name_used_by_somebody_else_is_refused_and_left_alone(
    engine: DockerCompute, tenant: TenantContainers
) -> None:
    foreign = docker("create", "--name", f"landlord-tenant-{tenant.tenant}", f"{WEB}:1")
    try:
        with pytest.raises(ComputeRefused, match="taken by a container that is not this tenant's"):
            await engine.provision(spec(tenant.tenant))

        assert not await engine.destroy(tenant.tenant, "")
        assert inspect_container(foreign)["State"]["Status"] == "created"
    finally:
        docker("rm", foreign)


async def test_tenants_whose_ids_contain_each_other_are_distinguished(
    engine: DockerCompute, tenant: TenantContainers
) -> None:
    others = [TenantContainers(f"{tenant.tenant}0"), TenantContainers(f"x-{tenant.tenant}")]
    for owner in (tenant, *others):
        await engine.provision(spec(owner.tenant))

    await engine.destroy(tenant.tenant, "")

    assert tenant.ids == []
    for other in others:
        await wait_healthy(engine, spec(other.tenant))
        other.remove_all()


async def test_a_folder_below_an_allowed_root_is_mounted(
    make_engine: MakeEngine, tenant: TenantContainers, tmp_path: Path
) -> None:
    (tmp_path / "a").mkdir()
    (tmp_path / "a" / "greeting").write_text("hello")
    engine = make_engine(policy={"bind_roots": [str(tmp_path)]})

    await engine.provision(spec(tenant.tenant, volumes=[f"{tmp_path}/a:/a:ro"]))

    assert docker("exec", tenant.only_container["Id"], "cat", "/a/greeting") == "hello"


async def test_a_container_that_somebody_else_created_in_its_place_is_not_started(
    engine: DockerCompute, tenant: TenantContainers
) -> None:
    desired = spec(tenant.tenant)
    labels = build_body(desired, read_config(desired.config), engine.settings)["Labels"]
    options = [f"--label={key}={value}" for key, value in labels.items()]
    options += ["--privileged", "--pids-limit=512", "--restart=unless-stopped"]
    docker("create", "--name", f"landlord-tenant-{tenant.tenant}", *options, f"{WEB}:1")

    await engine.provision(desired)

    assert not tenant.only_container["HostConfig"]["Privileged"]
    await wait_healthy(engine, desired)


async def test_volumes_stay_unless_the_configuration_removes_them(
    make_engine: MakeEngine, tenant: TenantContainers
) -> None:
    kept_volume, removed_volume = f"kept-{tenant.tenant}", f"gone-{tenant.tenant}"
    foreign = f"foreign-{tenant.tenant}"
    docker("volume", "create", foreign)
    engine = make_engine(policy={"volumes": [foreign]})
    config: dict[str, Any] = {
        "image": "landlord-test/keeper:1",
        "volumes": [f"{kept_volume}:/kept"],
    }
    try:
        await engine.provision(spec(tenant.tenant, **config))
        await engine.destroy(tenant.tenant, "")
        assert kept_volume in docker("volume", "ls", "-q")

        config = {
            **config,
            "volumes": [f"{removed_volume}:/a", f"{foreign}:/b"],
            "remove_volumes": True,
        }
        await engine.provision(spec(tenant.tenant, **config))
        anonymous = [
            mount["Name"]
            for mount in tenant.only_container["Mounts"]
            if mount["Destination"] == "/data"
        ]
        await engine.destroy(tenant.tenant, "")

        left = docker("volume", "ls", "-q").splitlines()
        assert foreign in left
        assert not {removed_volume, *anonymous} & set(left)
    finally:
        docker("volume", "rm", kept_volume, foreign)


async def test_the_next_delete_removes_the_volumes_of_an_interrupted_one(
    make_engine: MakeEngine, tenant: TenantContainers
) -> None:
    def reached(at: str) -> None:
        if at == "delete:removed":
            raise Interrupted(at)

    own_volume, shared = f"mine-{tenant.tenant}", f"shared-{tenant.tenant}"
    volumes = {"volumes": [f"{own_volume}:/a", f"{shared}:/b"], "remove_volumes": True}
    await make_engine().provision(spec(tenant.tenant, **volumes))
    other = docker("create", "-v", f"{shared}:/b", f"{WEB}:1")
    with pytest.raises(Interrupted):
        await make_engine(reached).destroy(tenant.tenant, "")
    assert own_volume in docker("volume", "ls", "-q")

    assert await make_engine().destroy(tenant.tenant, "")
    assert not await make_engine().destroy(tenant.tenant, "")

    label = f"label=landlord.tenant_id={tenant.tenant}"
    assert docker("volume", "ls", "-q", "--filter", label) == shared
    docker("rm", other)
    docker("volume", "rm", shared)


async def test_the_next_delete_decides_whether_the_volumes_of_an_interrupted_one_stay(
    make_engine: MakeEngine, tenant: TenantContainers
) -> None:
    def reached(at: str) -> None:
        if at == "delete:removed":
            raise Interrupted(at)

    own_volume = f"mine-{tenant.tenant}"
    volumes = [f"{own_volume}:/a"]
    await make_engine().provision(spec(tenant.tenant, volumes=volumes, remove_volumes=True))
    with pytest.raises(Interrupted):
        await make_engine(reached).destroy(tenant.tenant, "")

    await make_engine().provision(spec(tenant.tenant, volumes=volumes))
    await make_engine().destroy(tenant.tenant, "")

    label = f"label=landlord.tenant_id={tenant.tenant}"
    assert docker("volume", "ls", "-q", "--filter", label) == own_volume
    docker("volume", "rm", own_volume)


async def test_removing_volumes_succeeds_without_volumes(
    engine: DockerCompute, tenant: TenantContainers
) -> None:
    await engine.provision(spec(tenant.tenant, remove_volumes=True))

    assert await engine.destroy(tenant.tenant, "")

    label = f"label=landlord.tenant_id={tenant.tenant}"
    assert docker("volume", "ls", "-q", "--filter", label) == ""


async def test_a_delete_gives_a_container_time_to_stop(
    make_engine: MakeEngine, tenant: TenantContainers
) -> None:
    engine = make_engine(stop_timeout=20)
    volume = f"said-{tenant.tenant}"
    script = "trap 'echo bye >/said/it; exit 0' TERM; while true; do sleep 0.1; done"
    desired = spec(tenant.tenant, command=["sh", "-c", script], volumes=[f"{volume}:/said"])
    await engine.provision(desired)
    await wait_healthy(engine, desired)

    await engine.destroy(tenant.tenant, "")

    try:
        message = docker("run", "--rm", "-v", f"{volume}:/said", f"{WEB}:1", "cat", "/said/it")
        assert message == "bye"
    finally:
        docker("volume", "rm", volume)


@pytest.mark.parametrize("act", ["create", "update"])
async def test_a_container_that_the_daemon_can_no_longer_start_is_recreated(
    make_engine: MakeEngine, tenant: TenantContainers, act: str
) -> None:
    def reached(at: str) -> None:
        if at == f"{act}:created":
            raise Interrupted(at)

    engine, first, desired = (
        make_engine(),
        spec(tenant.tenant),
        spec(tenant.tenant, image=f"{WEB}:2"),
    )
    if act == "update":
        await engine.provision(first)
        await wait_healthy(engine, first)
    before = set(tenant.ids)
    with pytest.raises(Interrupted):
        await make_engine(reached).provision(desired)
    (stuck,) = set(tenant.ids) - before
    # A daemon that is killed at this moment leaves this folder, and can never start the shim again.
    remains = SHIMS / stuck
    remains.mkdir(parents=True)

    try:
        await engine.provision(desired)
    finally:
        remains.rmdir()

    assert tenant.only_container["Id"] not in {stuck, *before}
    assert tenant.versions == [2]
    await wait_healthy(engine, desired)


async def test_a_tenant_that_is_slow_to_stop_does_not_make_others_wait(
    make_engine: MakeEngine, tenant: TenantContainers
) -> None:
    engine, other = make_engine(stop_timeout=60), TenantContainers(str(uuid4()))
    await engine.provision(spec(tenant.tenant, command=["sleep", "1000"]))
    slow = tenant.only_container["Id"]
    stopping = asyncio.create_task(engine.destroy(tenant.tenant, ""))

    await engine.provision(spec(other.tenant))
    await wait_healthy(engine, spec(other.tenant))

    assert not stopping.done()
    docker("kill", slow)
    assert await stopping
    other.remove_all()


async def test_a_changed_default_of_the_operator_updates_the_container(
    make_engine: MakeEngine, tenant: TenantContainers
) -> None:
    body = {"tenant_id": tenant.tenant, "operation": "provision", "desired_config": {}}
    answers = [
        await build_tenant_jobs(
            ("docker", make_engine(image=f"{WEB}:1", env={"A": value})), health_timeout=20
        ).run(json.dumps(body).encode(), InMemorySteps())
        for value in ("1", "1", "2")
    ]

    assert [answer.output.status for answer in answers] == ["created", "unchanged", "updated"]
    assert answers[2].output.changes == ("env changed",)
    assert "A=2" in tenant.only_container["Config"]["Env"]


@pytest.mark.parametrize("count", [10, pytest.param(50, marks=pytest.mark.long)])
async def test_an_unchanged_tenant_causes_no_daemon_event(
    engine: DockerCompute, count: int
) -> None:
    tenants = [TenantContainers(str(uuid4())) for _ in range(count)]
    desired = [spec(owner.tenant) for owner in tenants]
    try:
        await asyncio.gather(*(engine.provision(tenant_spec) for tenant_spec in desired))
        for tenant_spec in desired:
            await wait_healthy(engine, tenant_spec)
        with Popen(
            ["docker", "events", "--format", "{{json .}}", "--filter=type=container"],
            stdout=PIPE,
            text=True,
        ) as events:
            for _ in range(3):
                await asyncio.gather(*(engine.provision(tenant_spec) for tenant_spec in desired))
                await asyncio.gather(
                    *(engine.inspect(tenant_spec.tenant, "") for tenant_spec in desired)
                )
            # The first event ends the stream.
            docker("pause", tenants[0].only_container["Id"])
            assert events.stdout is not None
            names = {f"landlord-tenant-{owner.tenant}" for owner in tenants}
            lines = map(json.loads, iter(events.stdout.readline, ""))
            seen = next(line for line in lines if line["Actor"]["Attributes"]["name"] in names)
            events.kill()
        assert seen["Action"] == "pause"
    finally:
        for containers in tenants:
            containers.remove_all()


async def test_a_missing_daemon_is_unavailable(make_engine: MakeEngine) -> None:
    engine = make_engine(host="unix:///nowhere/docker.sock")

    for act in (engine.inspect("t", ""), engine.provision(spec("t")), engine.destroy("t", "")):
        with pytest.raises(ComputeUnavailable, match="no Docker socket at"):
            await act
