import json
from typing import Any

import attrs
from hypothesis import given, strategies as st

from landlord_engines_core.compute.docker import labels as naming
from landlord_engines_core.compute.docker.config import ContainerConfig, read_config
from landlord_engines_core.compute.docker.requests import Body, build_body, limits_digest
from landlord_engines_core.compute.docker.settings import DockerSettings
from landlord_test_target.compute_engines import docker_settings
from landlord_test_target.docker import spec

FIELDS = {field.name for field in attrs.fields(ContainerConfig)}


def body(settings: DockerSettings | None = None, **config: Any) -> Body:
    tenant_spec = spec("t", **config)
    return build_body(tenant_spec, read_config(tenant_spec.config), settings or DockerSettings())


def test_a_container_gets_no_more_rights_than_a_process_needs() -> None:
    host = body()["HostConfig"]

    assert host["SecurityOpt"] == ["no-new-privileges:true"]
    assert host["PidsLimit"] == 512
    assert host["IpcMode"] == "private"
    assert not host["Privileged"]
    assert not host["PublishAllPorts"]
    assert host["CapAdd"] == host["Devices"] == host["Binds"] == []
    assert host["RestartPolicy"] == {"Name": "unless-stopped", "MaximumRetryCount": 0}


def test_millicores_and_mebibytes_are_converted_to_dockers_units() -> None:
    host = body(resources={"cpu": 1500, "memory": 64})["HostConfig"]

    assert host["NanoCpus"] == 1_500_000_000
    assert host["Memory"] == host["MemorySwap"] == 64 * 1024 * 1024


def test_a_port_without_a_host_port_gets_a_free_one() -> None:
    ports = [
        {"container_port": 80},
        {"container_port": 80, "host_port": 8080},
        {"container_port": 53, "host_port": 53, "protocol": "udp"},
    ]
    request = body(ports=ports)

    assert request["HostConfig"]["PortBindings"] == {
        "80/tcp": [{"HostIp": "", "HostPort": ""}, {"HostIp": "", "HostPort": "8080"}],
        "53/udp": [{"HostIp": "", "HostPort": "53"}],
    }
    assert request["ExposedPorts"] == {"80/tcp": {}, "53/udp": {}}


def test_every_key_of_a_tenant_reaches_the_request_body() -> None:
    settings = docker_settings({"policy": {"no_new_privileges": False, "pids_limit": 7}})
    request = body(
        settings,
        command=["serve"],
        args=["--fast"],
        env={"A": "b=c"},
        volumes=["data:/data", "/srv/x:/x:ro"],
        network_mode="none",
        restart_policy="no",
        labels={"team": "a"},
        user="1000:1000",
        read_only=True,
        privileged=True,
        cap_add=["net_admin", "CAP_NET_ADMIN"],
        devices=["/dev/fuse"],
    )
    host = request["HostConfig"]

    assert request["Cmd"] == ["serve", "--fast"]
    assert request["Env"] == ["A=b=c"]
    assert request["User"] == "1000:1000"
    assert request["Labels"]["team"] == "a"
    assert host["Binds"] == ["data:/data", "/srv/x:/x:ro"]
    assert host["NetworkMode"] == "none"
    assert host["RestartPolicy"]["Name"] == "no"
    assert host["ReadonlyRootfs"]
    assert host["Privileged"]
    assert host["CapAdd"] == ["CAP_NET_ADMIN"]
    assert host["Devices"][0]["PathOnHost"] == "/dev/fuse"
    assert host["SecurityOpt"] == []
    assert host["PidsLimit"] == 7


def test_a_tenant_without_a_network_mode_gets_the_operators_network() -> None:
    settings = docker_settings({"network_name": "tenants", "label_prefix": "acme"})

    assert body(settings)["HostConfig"]["NetworkMode"] == "tenants"
    assert body(settings, network_mode="bridge")["HostConfig"]["NetworkMode"] == "bridge"
    assert body(settings)["Labels"]["acme.owner"] == "landlord"


def test_labels_of_a_tenant_cannot_replace_labels_of_the_worker() -> None:
    forged = dict.fromkeys(body()["Labels"], "forged")

    request = body(labels=forged)["Labels"]

    assert request.keys() == forged.keys()
    assert "forged" not in request.values()


def test_a_configured_health_check_disables_the_check_of_the_image() -> None:
    request = body(health_check={"type": "http", "port": 80, "http_path": "/up"})

    assert request["Healthcheck"] == {"Test": ["NONE"]}
    assert json.loads(request["Labels"][naming.HEALTH]) == {
        "type": "http",
        "port": 80,
        "path": "/up",
    }
    assert "Healthcheck" not in body()


@given(st.dictionaries(st.text(max_size=12).filter(lambda key: key not in FIELDS), st.text()))
def test_an_unknown_key_changes_nothing_in_the_request_body(keys: dict[str, str]) -> None:
    tenant_spec = spec("t")
    plain = build_body(tenant_spec, read_config(tenant_spec.config), DockerSettings())

    with_keys = build_body(
        tenant_spec, read_config({**tenant_spec.config, **keys}), DockerSettings()
    )

    assert with_keys == plain


def test_a_changed_limit_changes_the_digest_of_the_limits() -> None:
    host = body(resources={"memory": 64})["HostConfig"]

    assert limits_digest(host) == limits_digest({**host, "Binds": ["x:/x"]})
    assert limits_digest(host) != limits_digest({**host, "Memory": 1})
    assert limits_digest(host) != limits_digest({**host, "RestartPolicy": {"Name": "no"}})
