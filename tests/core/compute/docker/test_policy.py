"""Configurations that would give a tenant control of the host never reach the daemon."""

from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest
import pytest_asyncio
from pytest_httpserver import HTTPServer

from landlord_engines_core.compute import ComputeRegistry
from landlord_engines_core.compute.docker.config import SCHEMA
from landlord_engines_core.compute.docker.engine import DockerCompute
from landlord_engines_core.compute.docker.policy import is_in_data_root
from landlord_engines_core.errors import ComputeRefused
from landlord_test_target.compute_engines import docker_engine
from landlord_test_target.docker import spec

SECRET = "sesame"

NETWORKS = ["host", "container:other", f"container:{SECRET}"]

BINDS = [
    "/:/host",
    "//:/host",
    "/etc:/etc:ro",
    "/etc/shadow:/shadow",
    "/root/.ssh:/keys",
    "/proc:/proc",
    "/sys:/sys",
    "/dev:/dev",
    "/var/lib/docker:/docker",
    "/var/run/docker.sock:/var/run/docker.sock",
    "/run/docker.sock:/s",
    "/run/containerd/containerd.sock:/s",
    "/srv/tenants-other:/data",
    "/srv/tenants/../../etc:/data",
    "/srv:/data",
    "/srv/tenants/a/../../../etc:/data",
    "//srv/tenants:/data",
    "../etc:/data",
    "./etc:/data",
    "~/x:/data",
    "$HOME:/data",
    "name:/../etc",
    "name:data",
    "name:/",
    "name:/data:rshared",
    "/srv/tenants/a:/data:shared",
    "/srv/tenants/a:/data:slave",
    "a:b:c:d",
    "justone",
    "",
    "x\0y:/data",
]

FOREIGN = {
    "Privileged": True,
    "pRIVILEGED": True,
    "HostConfig": {"Privileged": True},
    "hostCONFIG": {"securityopt": ["seccomp=unconfined"]},
    "host_config": {"Binds": ["/:/host"]},
    "ho\u017ftConfig": {"Privileged": True},
    "CapAdd": ["ALL"],
    "capadd": ["SYS_ADMIN"],
    "Devices": [{"PathOnHost": "/dev/kmsg"}],
    "DEVICES": ["/dev/mem"],
    "DeviceCgroupRules": ["a *:* rwm"],
    "device_cgroup_rules": ["a *:* rwm"],
    "DeviceRequests": [{"Count": -1}],
    "gpus": "all",
    "Binds": ["/:/host"],
    "Mounts": [{"Type": "bind", "Source": "/"}],
    "mounts": [{"Type": "volume"}],
    "VolumesFrom": ["other"],
    "volumes_from": ["other"],
    "pid": "host",
    "PidMode": "host",
    "pid_mode": "container:other",
    "ipc": "host",
    "IpcMode": "host",
    "ipc-mode": "container:other",
    "uts": "host",
    "UTSMode": "host",
    "userns_mode": "host",
    "UsernsMode": "host",
    "CgroupnsMode": "host",
    "cgroup": "host",
    "cgroup_parent": "/other",
    "CgroupParent": "/",
    "security_opt": ["seccomp=unconfined"],
    "SecurityOpt": ["apparmor=unconfined"],
    "security-opt": ["no-new-privileges:false"],
    "seccomp": "unconfined",
    "apparmor": "unconfined",
    "Sysctls": {"kernel.msgmax": "1"},
    "sysctls": {"net.ipv4.ip_forward": "1"},
    "GroupAdd": ["0"],
    "group_add": ["docker"],
    "MaskedPaths": ["none"],
    "ReadonlyPaths": ["none"],
    "PidsLimit": -1,
    "pids_limit": 100000,
    "OomKillDisable": True,
    "NetworkMode": "host",
    "network": "host",
    "NetworkingConfig": {"EndpointsConfig": {"other": {}}},
}

RIGHTS: list[dict[str, Any]] = [
    {"privileged": True},
    {"cap_add": ["ALL"]},
    {"cap_add": ["SYS_ADMIN"]},
    {"cap_add": ["cap_sys_admin"]},
    {"cap_add": ["NET_RAW", "sys_ptrace"]},
    {"devices": ["/dev/kmsg"]},
    {"devices": ["/dev/sda:/dev/sda:rwm"]},
]

IMAGES = ["", "-x", ":x", "a b", "a/../../containers/json", "../x", "a?x=y", "a#b", "a//b", "a\0b"]

OTHERS: list[dict[str, Any]] = [
    {"env": {"": "x"}},
    {"env": {"A=B": "x"}},
    {"env": {"A": f"{SECRET}\0"}},
    {"env": {"A": "\ud800"}},
    {"labels": {"a\0": "x"}},
    {"command": ["a\0"]},
    {"args": ["\udfff"]},
    {"user": "0; rm -rf /"},
    {"user": "../x"},
    {"network_mode": "somebodys-network"},
    {"network_mode": "service:other"},
    {"network_mode": "none", "health_check": {"type": "tcp", "port": 80}},
]

HOSTILE: list[dict[str, Any]] = [
    *[{"network_mode": mode} for mode in NETWORKS],
    *[{"volumes": ["data:/data", bind]} for bind in BINDS],
    *[{key: value} for key, value in FOREIGN.items()],
    *RIGHTS,
    *[{"image": image} for image in IMAGES],
    *OTHERS,
]


@pytest_asyncio.fixture
async def engine(httpserver: HTTPServer) -> AsyncIterator[DockerCompute]:
    """An engine with the default policy and one allowed folder; its server records all requests."""
    section = {
        "host": httpserver.url_for("").rstrip("/"),
        "policy": {"bind_roots": ["/srv/tenants"]},
    }
    engine = docker_engine(section)
    yield engine
    await engine.aclose()


def test_at_least_seventy_hostile_configurations_are_tried() -> None:
    assert len(HOSTILE) >= 70


@pytest.mark.parametrize("hostile", HOSTILE, ids=repr)
async def test_a_hostile_configuration_is_refused_before_any_daemon_call(
    engine: DockerCompute, httpserver: HTTPServer, hostile: dict[str, Any]
) -> None:
    tenant_spec = spec("t", **{"env": {"A": SECRET}, **hostile})
    for act in (engine.provision, engine.update):
        with pytest.raises(ComputeRefused) as caught:
            await act(tenant_spec)
        assert "$." in caught.value.message
        assert SECRET not in str(caught.value)

    with pytest.raises(ComputeRefused):
        engine.validate(tenant_spec.config)

    assert httpserver.log == []


@pytest.mark.parametrize(
    "config",
    [
        {"Privileged": False},
        {"cap_add": []},
        {"PidMode": ""},
        {"devices": []},
        {"privileged": False},
    ],
    ids=repr,
)
def test_empty_values_of_restricted_keys_are_accepted(config: dict[str, object]) -> None:
    docker_engine({}).validate({"image": "x", **config})


@pytest.mark.parametrize(
    ("policy", "config"),
    [
        ({"host_network": True}, {"network_mode": "host"}),
        ({"container_network": True}, {"network_mode": "container:proxy"}),
        ({"privileged": True}, {"privileged": True}),
        ({"capabilities": ["NET_ADMIN"]}, {"cap_add": ["cap_net_admin"]}),
        ({"devices": ["/dev/fuse"]}, {"devices": ["/dev/fuse"]}),
        ({"bind_roots": ["/usr"]}, {"volumes": ["/usr:/data", "/usr/a/b:/more:ro"]}),
        (
            {"bind_roots": ["/run"], "engine_socket": True},
            {"volumes": ["/run/docker.sock:/var/run/docker.sock"]},
        ),
        ({}, {"volumes": ["data:/data:ro,nocopy"], "network_mode": "none", "user": "1000:1000"}),
    ],
    ids=repr,
)
def test_configurations_that_the_operator_allows_are_accepted(
    policy: dict[str, object], config: dict[str, object]
) -> None:
    docker_engine({"policy": policy}).validate({"image": "x", **config})


@pytest.mark.parametrize(
    "source", ["/", "/run", "/run/docker.sock", "/var/run", "/var/run/docker.sock", "/own"]
)
def test_the_daemons_socket_is_refused_in_an_allowed_folder_too(source: str) -> None:
    engine = docker_engine({"host": "unix:///own/engine.sock", "policy": {"bind_roots": ["/"]}})

    with pytest.raises(ComputeRefused, match=r"the Docker daemon's socket in \$.volumes\[0\]"):
        engine.validate({"image": "x", "volumes": [f"{source}:/s"]})


def test_a_link_that_leads_out_of_an_allowed_folder_is_refused(tmp_path: Path) -> None:
    (tmp_path / "tenants").mkdir()
    (tmp_path / "tenants" / "link").symlink_to("/etc")
    engine = docker_engine({"policy": {"bind_roots": [str(tmp_path / "tenants")]}})

    with pytest.raises(ComputeRefused, match="a host path"):
        engine.validate({"image": "x", "volumes": [f"{tmp_path}/tenants/link:/data"]})


@pytest.mark.parametrize(
    ("host", "root"),
    [("tcp://elsewhere:2376", "/usr"), ("unix:///var/run/docker.sock", "/nowhere-that-is-seen")],
)
def test_without_a_view_of_links_only_the_allowed_roots_themselves_are_accepted(
    host: str, root: str
) -> None:
    engine = docker_engine({"host": host, "policy": {"bind_roots": [root]}})

    engine.validate({"image": "x", "volumes": [f"{root}:/a", f"{root}/:/b"]})
    with pytest.raises(ComputeRefused, match=r"a host path in \$.volumes\[0\]"):
        engine.validate({"image": "x", "volumes": [f"{root}/below:/a"]})


@pytest.mark.parametrize(
    ("source", "roots", "refused"),
    [
        ("/", ["/"], True),
        ("/data/docker", ["/"], True),
        ("/data/docker/volumes/a/_data", ["/data"], True),
        ("/data/docker/volumes/a/_data", ["/data/docker/volumes/a"], False),
        ("/data/docker/volumes/b/_data", ["/", "/data/docker/volumes/a"], True),
        ("/data/other", ["/data"], False),
        ("/data/docker-other", ["/data"], False),
    ],
)
def test_the_folders_of_the_daemon_need_an_allowed_root_of_their_own(
    source: str, roots: list[str], *, refused: bool
) -> None:
    assert is_in_data_root(source, "/data/docker", tuple(roots)) is refused


def test_every_refused_key_is_named_at_once() -> None:
    config = {"image": "x", "privileged": True, "network_mode": "host", "HostConfig": {"a": 1}}

    with pytest.raises(ComputeRefused) as caught:
        docker_engine({}).validate(config)

    for key in ("$.privileged", "$.network_mode", "$.HostConfig"):
        assert key in caught.value.message
    assert "compute.docker.policy" in caught.value.hint


def test_the_schema_accepts_each_configuration_that_landlords_schema_accepts() -> None:
    engine = docker_engine({})
    config = {
        "image": "nginx:1.27",
        "env": {"A": "b"},
        "volumes": ["data:/data", "logs:/logs:ro"],
        "network_mode": "bridge",
        "ports": [
            {"container_port": 80},
            {"container_port": 53, "host_port": 5353, "protocol": "udp"},
        ],
        "restart_policy": "on-failure",
        "labels": {"team": "a", "landlord.owner": "me"},
        "log_driver": "json-file",
        "unknown": {"a": [None, 1.5, "x"]},
    }

    ComputeRegistry({"docker": engine}).check("docker", config)


@pytest.mark.parametrize(
    "config",
    [
        {},
        {"image": 1},
        {"image": "x", "env": {"A": 1}},
        {"image": "x", "ports": [{}]},
        {"image": "x", "ports": [{"container_port": 0}]},
        {"image": "x", "ports": [{"container_port": 1, "host_port": 65536}]},
        {"image": "x", "ports": [{"container_port": 1, "protocol": "sctp"}]},
        {"image": "x", "ports": [{"container_port": 1, "host_ip": "0.0.0.0"}]},
        {"image": "x", "restart_policy": "sometimes"},
        {"image": "x", "volumes": "data:/data"},
        {"image": "x", "health_check": {"type": "http", "port": 80, "http_path": "/a\r\nX: y"}},
        {"image": "x", "health_check": {"type": "http", "port": 80, "http_path": "/a\n"}},
        {"image": "x", "resources": {"cpu": 0}},
    ],
    ids=repr,
)
def test_the_schema_refuses_each_configuration_that_landlords_schema_refuses(
    config: dict[str, object],
) -> None:
    with pytest.raises(ComputeRefused, match="breaks the rule"):
        ComputeRegistry({"docker": docker_engine({})}).check("docker", config)


def test_landlords_own_keys_are_all_in_the_schema() -> None:
    properties = SCHEMA["properties"]

    assert isinstance(properties, dict)
    assert {"image", "env", "volumes", "network_mode", "ports", "restart_policy", "labels"} <= set(
        properties
    )
    assert SCHEMA["additionalProperties"] is True
