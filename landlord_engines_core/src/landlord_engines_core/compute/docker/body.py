"""What is sent to make a container, built field by field, and whether the engine made just that.

An engine takes keys in any case and ignores those it does not know, so that a body could say less,
or more, than it seems to. What it made is therefore read back and compared.
"""

import hashlib
import json
from collections.abc import Iterable, Iterator, Mapping
from typing import Any

from landlord_engines_core.compute.contract import ComputeSpec
from landlord_engines_core.compute.docker import names
from landlord_engines_core.compute.docker.config import ContainerConfig
from landlord_engines_core.compute.docker.images import is_same_image
from landlord_engines_core.compute.docker.policy import capability
from landlord_engines_core.compute.docker.settings import DockerSettings

__all__ = ["Body", "container_body", "differences", "limits_of"]

Body = dict[str, Any]

_MEBIBYTE = 1024 * 1024
_LIMITS = ("Memory", "NanoCpus", "PidsLimit", "RestartPolicy")
"""What can be changed of a container that is there."""

_UNSET = (
    "CgroupParent",
    "DeviceCgroupRules",
    "DeviceRequests",
    "GroupAdd",
    "Isolation",
    "Links",
    "Mounts",
    "PidMode",
    "Sysctls",
    "UTSMode",
    "UsernsMode",
    "VolumesFrom",
)
"""What may give a container more rights and is never asked for."""

_NOT_SHOWN_AS_SENT = ("MemorySwap",)
"""An engine without a swap limit sets it to something else."""


def container_body(
    spec: ComputeSpec,
    config: ContainerConfig,
    settings: DockerSettings,
    *,
    replaces: str = "",
    dropped: Iterable[str] = (),
) -> Body:
    """Build the body that makes a tenant's container.

    Args:
        spec: What the tenant is to have.
        config: Its configuration, as read.
        settings: The operator's settings.
        replaces: The id of the serving container whose place it is to take, or empty.
        dropped: The tenant's volumes that it leaves behind, for the delete to remove.
    """
    host = _host_config(config, settings)
    body: Body = {
        "Image": config.image,
        "Env": [f"{name}={value}" for name, value in config.env.items()],
        "ExposedPorts": {str(port): {} for port in config.ports},
        "Labels": {
            **config.labels,
            **_labels(spec, config, settings, host),
            **_making(config, replaces, dropped),
        },
        "HostConfig": host,
    }
    if command := [*config.command, *config.args]:
        body["Cmd"] = command
    if config.user:
        body["User"] = config.user
    if config.health_check is not None:
        # Its own check would say something else than ours.
        body["Healthcheck"] = {"Test": ["NONE"]}
    return body


def _labels(
    spec: ComputeSpec,
    config: ContainerConfig,
    settings: DockerSettings,
    host: Body,
) -> dict[str, str]:
    """Ours, all of them always, so that a tenant's own labels cannot pass for them."""
    check = config.health_check
    asked = {"type": check.type, "port": check.port, "path": check.http_path} if check else {}
    return {
        **names.identity(settings.label_prefix, spec.tenant),
        **names.state_labels(spec),
        names.HEALTH: json.dumps(asked),
        names.LIMITS: limits_of(host),
        names.REMOVE_VOLUMES: "true" if config.remove_volumes else "",
    }


def _making(config: ContainerConfig, replaces: str, dropped: Iterable[str]) -> dict[str, str]:
    """What is noted of the making; which image its reference means is told as it is made."""
    return {
        names.REPLACES: replaces,
        names.IMAGE: "",
        names.PARTNER: config.partner,
        names.DROPPED: json.dumps([*dropped]),
    }


def limits_of(host_config: Mapping[str, Any]) -> str:
    """A digest of the values that somebody may change behind our back."""
    values = {key: host_config.get(key) or 0 for key in _LIMITS}
    policy = host_config.get("RestartPolicy") or {}
    values["RestartPolicy"] = {
        "Name": policy.get("Name") or "no",
        "MaximumRetryCount": policy.get("MaximumRetryCount") or 0,
    }
    return hashlib.sha256(json.dumps(values, sort_keys=True).encode()).hexdigest()[:16]


def _host_config(config: ContainerConfig, settings: DockerSettings) -> Body:
    policy = settings.policy
    memory = (config.resources.memory or 0) * _MEBIBYTE
    return {
        "Binds": [str(volume) for volume in config.mounts()],
        "CapAdd": sorted({capability(name) for name in config.cap_add}),
        "Devices": [_device(path) for path in config.devices],
        "IpcMode": "private",
        "Memory": memory,
        "MemorySwap": memory,
        "NanoCpus": (config.resources.cpu or 0) * 1_000_000,
        "NetworkMode": config.network_mode or settings.network_name,
        "PidsLimit": policy.pids_limit,
        "PortBindings": _bindings(config),
        "Privileged": config.privileged,
        "PublishAllPorts": False,
        "ReadonlyRootfs": config.read_only,
        "RestartPolicy": {"Name": config.restart_policy, "MaximumRetryCount": 0},
        "SecurityOpt": ["no-new-privileges:true"] if policy.no_new_privileges else [],
    }


def _bindings(config: ContainerConfig) -> Body:
    bindings: dict[str, list[dict[str, str]]] = {}
    for port in config.ports:
        wanted = str(port.host_port) if port.host_port is not None else ""
        # Without an address the engine takes its own, which its operator may have narrowed.
        bindings.setdefault(str(port), []).append({"HostIp": "", "HostPort": wanted})
    return bindings


def _device(path: str) -> Body:
    return {"PathOnHost": path, "PathInContainer": path, "CgroupPermissions": "rwm"}


def differences(body: Body, shown: Mapping[str, Any]) -> list[str]:
    """Name the fields in which a container is not what was asked for.

    Args:
        body: What was sent.
        shown: What the engine shows of the container.
    """
    return [*_in_host_config(body, shown["HostConfig"]), *_in_config(body, shown["Config"])]


def _in_host_config(body: Body, shown: Mapping[str, Any]) -> Iterator[str]:
    for key, sent in body["HostConfig"].items():
        if key not in _NOT_SHOWN_AS_SENT and _plain(key, shown.get(key)) != _plain(key, sent):
            yield f"HostConfig.{key}"
    yield from (f"HostConfig.{key}" for key in _UNSET if shown.get(key))


def _in_config(body: Body, shown: Mapping[str, Any]) -> Iterator[str]:
    if not is_same_image(str(shown.get("Image", "")), body["Image"]):
        yield "Config.Image"
    for key in ("Cmd", "User"):
        if key in body and shown.get(key) != body[key]:
            yield f"Config.{key}"
    if not set(body["Env"]) <= set(shown.get("Env") or ()):
        yield "Config.Env"
    passing = {name: body["Labels"][name] for name in names.PASSING if name in body["Labels"]}
    labels = {**(shown.get("Labels") or {}), **passing}
    if not body["Labels"].items() <= labels.items():
        yield "Config.Labels"


def _plain(key: str, value: Any) -> Any:
    """A value so that what means the same is the same: engines show an empty list as null."""
    if key == "CapAdd":
        return sorted(capability(name) for name in value or ())
    if key == "NetworkMode" and value == "default":
        # An engine before 1.44 of its API shows its default network so.
        return "bridge"
    if key == "NetworkMode" and str(value).startswith("container:"):
        # An engine shows the other one's id, however it was named.
        return "container:"
    return value or None
