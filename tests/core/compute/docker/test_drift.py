from typing import Any

import pytest

from landlord_engines_core.compute.docker.config import read_config
from landlord_engines_core.compute.docker.drift import find_differences
from landlord_engines_core.compute.docker.requests import Body, build_body
from landlord_engines_core.compute.docker.settings import DockerSettings
from landlord_test_target.docker import spec


def body(**config: Any) -> Body:
    tenant = spec("t", **config)
    return build_body(tenant, read_config(tenant.config), DockerSettings())


def described(**config: Any) -> Body:
    """Describe a container as a daemon does that obeys, and adds details of its own."""
    container = body(**config)
    host = {
        **container["HostConfig"],
        "Binds": None,
        "CapAdd": None,
        "Runtime": "runc",
        "PidMode": "",
    }
    config_shown = {
        **container,
        "Env": [*container["Env"], "PATH=/bin"],
        "Labels": {**container["Labels"], "i": "1"},
    }
    return {"HostConfig": host, "Config": config_shown}


def test_additions_of_the_daemon_are_no_difference() -> None:
    assert find_differences(body(), described()) == []


@pytest.mark.parametrize(
    ("part", "key", "value"),
    [
        ("HostConfig", "Privileged", True),
        ("HostConfig", "CapAdd", ["CAP_SYS_ADMIN"]),
        ("HostConfig", "Binds", ["/:/host"]),
        ("HostConfig", "SecurityOpt", None),
        ("HostConfig", "SecurityOpt", ["no-new-privileges:true", "no-new-privileges:false"]),
        ("HostConfig", "PidsLimit", None),
        ("HostConfig", "NetworkMode", "host"),
        ("HostConfig", "PidMode", "host"),
        ("HostConfig", "UTSMode", "host"),
        ("HostConfig", "UsernsMode", "host"),
        ("HostConfig", "VolumesFrom", ["other"]),
        ("HostConfig", "Mounts", [{}]),
        ("HostConfig", "Sysctls", {"a": "b"}),
        ("HostConfig", "CgroupParent", "/other"),
        ("HostConfig", "DeviceCgroupRules", ["a *:* rwm"]),
        ("Config", "Image", "other"),
        ("Config", "User", "0"),
        ("Config", "Cmd", ["other"]),
        ("Config", "Env", []),
        ("Config", "Labels", {}),
    ],
)
def test_a_deviation_of_the_daemon_is_found(part: str, key: str, value: object) -> None:
    config: dict[str, Any] = {"env": {"A": "b"}, "user": "7", "command": ["x"]}
    container = described(**config)
    container[part][key] = value

    assert find_differences(body(**config), container) == [f"{part}.{key}"]


@pytest.mark.parametrize(
    ("key", "present"),
    [
        ("Binds", ["/srv/x:/x:ro,z", "data:/data:rw", "logs:/logs"]),
        ("Binds", ["logs:/logs:rprivate,rbind", "data:/data", "/srv/x:/x:z,ro"]),
        ("Devices", [{"PathOnHost": "/dev/kvm"}, {"PathOnHost": "/dev/fuse"}]),
        (
            "Devices",
            [
                {"PathOnHost": path, "PathInContainer": path, "CgroupPermissions": "mrw"}
                for path in ("/dev/fuse", "/dev/kvm")
            ],
        ),
        ("SecurityOpt", ["no-new-privileges"]),
        ("SecurityOpt", ["no-new-privileges=true"]),
    ],
)
def test_another_spelling_of_the_same_value_is_no_difference(key: str, present: object) -> None:
    config: dict[str, Any] = {
        "volumes": ["data:/data", "/srv/x:/x:ro,z", "logs:/logs"],
        "devices": ["/dev/fuse", "/dev/kvm"],
    }
    container = described(**config)
    container["HostConfig"] |= {"Binds": body(**config)["HostConfig"]["Binds"], key: present}

    assert find_differences(body(**config), container) == []


@pytest.mark.parametrize(
    ("key", "present"),
    [
        ("Binds", ["data:/data"]),
        ("Binds", ["data:/data:ro,z"]),
        ("Binds", ["data:/data:Z"]),
        ("Binds", ["data:/data:z,rshared"]),
        ("Binds", ["data:/other:z"]),
        ("Binds", ["data:/data:z", "data:/data:z"]),
        ("Devices", [{"PathOnHost": "/dev/fuse", "CgroupPermissions": "r"}]),
        ("Devices", [{"PathOnHost": "/dev/fuse", "PathInContainer": "/dev/other"}]),
        ("Devices", None),
        ("SecurityOpt", ["no-new-privileges:false"]),
        ("SecurityOpt", ["no-new-privileges", "label=disable"]),
    ],
)
def test_another_value_is_a_difference(key: str, present: object) -> None:
    config: dict[str, Any] = {"volumes": ["data:/data:z"], "devices": ["/dev/fuse"]}
    container = described(**config)
    container["HostConfig"] |= {"Binds": ["data:/data:z"], key: present}

    assert find_differences(body(**config), container) == [f"HostConfig.{key}"]
