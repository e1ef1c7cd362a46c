"""Requests that create a container, built field by field from a tenant's configuration.

A daemon ignores keys that it does not know and accepts keys in any case. A request could therefore
grant less or more than it seems to. After each create, `drift` compares the result with the request.
"""

import hashlib
import json
from collections.abc import Iterable, Mapping
from typing import Any

from landlord_engines_core.compute.contract import ComputeSpec
from landlord_engines_core.compute.docker.config import ContainerConfig
from landlord_engines_core.compute.docker.labels import (
    DROPPED,
    HEALTH,
    IMAGE,
    LIMITS,
    NETWORK_CONTAINER,
    REMOVE_VOLUMES,
    REPLACES,
    identity_labels,
    state_labels,
)
from landlord_engines_core.compute.docker.policy import canonical_capability
from landlord_engines_core.compute.docker.settings import DockerSettings

__all__ = ["Body", "build_body", "limits_digest"]

Body = dict[str, Any]

_MEBIBYTE = 1024 * 1024
_LIMITS = ("Memory", "NanoCpus", "PidsLimit", "RestartPolicy")
"""Fields that ``docker update`` can change on an existing container."""


def build_body(
    spec: ComputeSpec,
    config: ContainerConfig,
    settings: DockerSettings,
    *,
    replaces: str = "",
    dropped: Iterable[str] = (),
) -> Body:
    """Build the body of the request that creates a tenant's container.

    Args:
        spec: The tenant's specification.
        config: The configuration in it, as read.
        settings: The operator's settings.
        replaces: The id of the serving container that this one is to replace, or empty.
        dropped: Volumes that this configuration no longer mounts; the delete removes them.
    """
    host_config = _build_host_config(config, settings)
    body: Body = {
        "Image": config.image,
        "Env": [f"{name}={value}" for name, value in config.env.items()],
        "ExposedPorts": {str(port): {} for port in config.ports},
        # The worker's labels come last and are complete, so a tenant's labels cannot replace them.
        "Labels": {**config.labels, **_config_labels(spec, config, settings, host_config)},
        "HostConfig": host_config,
    }
    body["Labels"] |= {REPLACES: replaces, DROPPED: json.dumps([*dropped])}
    if command := [*config.command, *config.args]:
        body["Cmd"] = command
    if config.user:
        body["User"] = config.user
    if config.health_check is not None:
        # The image's check could contradict the configured one.
        body["Healthcheck"] = {"Test": ["NONE"]}
    return body


def _config_labels(
    spec: ComputeSpec, config: ContainerConfig, settings: DockerSettings, host_config: Body
) -> dict[str, str]:
    check = config.health_check
    document = {"type": check.type, "port": check.port, "path": check.http_path} if check else {}
    return {
        **identity_labels(settings.label_prefix, spec.tenant),
        **state_labels(spec),
        HEALTH: json.dumps(document),
        LIMITS: limits_digest(host_config),
        REMOVE_VOLUMES: "true" if config.remove_volumes else "",
        # The builder fills it in once the image is there.
        IMAGE: "",
        NETWORK_CONTAINER: config.network_container,
    }


def limits_digest(host_config: Mapping[str, Any]) -> str:
    """Return a digest of the fields that can be changed on an existing container."""
    values = {key: host_config.get(key) or 0 for key in _LIMITS}
    policy = host_config.get("RestartPolicy") or {}
    values["RestartPolicy"] = {
        "Name": policy.get("Name") or "no",
        "MaximumRetryCount": policy.get("MaximumRetryCount") or 0,
    }
    return hashlib.sha256(json.dumps(values, sort_keys=True).encode()).hexdigest()[:16]


def _build_host_config(config: ContainerConfig, settings: DockerSettings) -> Body:
    policy = settings.policy
    memory = (config.resources.memory or 0) * _MEBIBYTE
    return {
        "Binds": [str(volume) for volume in config.mounts()],
        "CapAdd": sorted({canonical_capability(name) for name in config.cap_add}),
        "Devices": [_build_device(path) for path in config.devices],
        "IpcMode": "private",
        "Memory": memory,
        # The limit of memory and swap together: an equal value allows no swap.
        "MemorySwap": memory,
        # A millicore is a million nano CPUs.
        "NanoCpus": (config.resources.cpu or 0) * 1_000_000,
        "NetworkMode": config.network_mode or settings.network_name,
        "PidsLimit": policy.pids_limit,
        "PortBindings": _build_bindings(config),
        "Privileged": config.privileged,
        "PublishAllPorts": False,
        "ReadonlyRootfs": config.read_only,
        "RestartPolicy": {"Name": config.restart_policy, "MaximumRetryCount": 0},
        "SecurityOpt": ["no-new-privileges:true"] if policy.no_new_privileges else [],
    }


def _build_bindings(config: ContainerConfig) -> Body:
    bindings: dict[str, list[dict[str, str]]] = {}
    for port in config.ports:
        host_port = str(port.host_port) if port.host_port is not None else ""
        # Without an address the daemon uses its default, which its operator may have narrowed.
        bindings.setdefault(str(port), []).append({"HostIp": "", "HostPort": host_port})
    return bindings


def _build_device(path: str) -> Body:
    return {"PathOnHost": path, "PathInContainer": path, "CgroupPermissions": "rwm"}
