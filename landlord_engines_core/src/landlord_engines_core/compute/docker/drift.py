"""Comparison of a container with the request that creates it.

It serves two purposes. After a create it shows how the daemon's container differs. For a container of
Landlord's Go worker it shows whether the container can stay. That worker records no configuration, and
the labels of an existing container cannot be changed. Such a container is compared with each new
configuration and replaced at the first difference. Hardening that cannot be set on a running
container comes with the replacement.
"""

import re
from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import Any

from landlord_engines_core.compute.docker.client import DockerClient
from landlord_engines_core.compute.docker.images import is_same_image
from landlord_engines_core.compute.docker.labels import CREATION_LABELS
from landlord_engines_core.compute.docker.observe import Container
from landlord_engines_core.compute.docker.policy import canonical_capability
from landlord_engines_core.compute.docker.requests import Body

__all__ = ["find_differences", "is_equivalent"]

_FORBIDDEN = (
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
"""Fields that may grant a container more rights; no request sets them."""

_NOT_COMPARED = ("MemorySwap",)
"""A daemon without a swap limit changes it."""

_HARDENING = ("IpcMode", "PidsLimit", "SecurityOpt")
"""Fields that Landlord's Go worker never sets and this worker always does."""

_ANY_ADDRESS = ("", "0.0.0.0", "::")  # noqa: S104  # compared, and never listened on

_DEFAULT_BIND_OPTIONS = {"rw", "rprivate", "rbind"}
"""Docker's defaults for a bind; a daemon may show them or leave them out."""


async def is_equivalent(client: DockerClient, container: Container, body: Body) -> bool:
    """Return whether a container without a hash equals what the request creates, hardening aside.

    Args:
        client: The daemon's client, for the container's image.
        container: A container that Landlord's Go worker created.
        body: The body of the request.
    """
    if "Healthcheck" in body:
        # The configured check is kept in a label, which this container cannot get.
        return False
    image = await client.image(container.raw["Image"])
    requested = await client.image_id(body["Image"])
    if requested and requested != container.raw["Image"]:
        return False
    return not [*_find_adoption_differences(body, container.raw, image.get("Config") or {})]


def _find_adoption_differences(
    body: Body, raw: Mapping[str, Any], image: Mapping[str, Any]
) -> Iterator[str]:
    host_config = {key: value for key, value in body["HostConfig"].items() if key not in _HARDENING}
    host_config["PortBindings"] = _without_any_address(host_config["PortBindings"])
    bindings = _without_any_address(raw["HostConfig"]["PortBindings"])
    yield from find_differences(
        {**body, "HostConfig": host_config, "Labels": {}},
        {**raw, "HostConfig": {**raw["HostConfig"], "PortBindings": bindings}},
    )
    config = raw["Config"]
    if _variables(config) != {**_variables(image), **_variables(body)}:
        yield "Config.Env"
    if _foreign_labels(config) != {**_foreign_labels(image), **_foreign_labels(body)}:
        yield "Config.Labels"
    for key in ("Cmd", "Entrypoint", "User"):
        if (config.get(key) or None) != (body.get(key) or image.get(key) or None):
            yield f"Config.{key}"


def _foreign_labels(config: Mapping[str, Any]) -> dict[str, str]:
    # Our labels describe a configuration. A container of Landlord's Go worker has none of them.
    labels: Mapping[str, str] = config.get("Labels") or {}
    return {name: value for name, value in labels.items() if not name.startswith("landlord.")}


def _variables(config: Mapping[str, Any]) -> dict[str, str]:
    return dict(variable.partition("=")[::2] for variable in config.get("Env") or ())


def _without_any_address(bindings: Mapping[str, Any] | None) -> Body:
    # Landlord's Go worker sends 0.0.0.0, and this worker sends no address.
    return {
        port: [
            {**binding, "HostIp": ""} if binding.get("HostIp", "") in _ANY_ADDRESS else binding
            for binding in port_bindings
        ]
        for port, port_bindings in (bindings or {}).items()
    }


def find_differences(body: Body, raw: Mapping[str, Any]) -> list[str]:
    """Return the names of the fields in which a container differs from its request.

    Args:
        body: The body of the request.
        raw: The container as the daemon describes it.
    """
    return [
        *_compare_host_config(body, raw["HostConfig"]),
        *_compare_config(body, raw["Config"]),
    ]


def _compare_host_config(body: Body, raw: Mapping[str, Any]) -> Iterator[str]:
    for key, sent in body["HostConfig"].items():
        normalize: Callable[[Any], object] = _NORMALIZERS.get(key, _normalize_empty)
        if key not in _NOT_COMPARED and normalize(raw.get(key)) != normalize(sent):
            yield f"HostConfig.{key}"
    yield from (f"HostConfig.{key}" for key in _FORBIDDEN if raw.get(key))


def _compare_config(body: Body, raw: Mapping[str, Any]) -> Iterator[str]:
    if not is_same_image(str(raw.get("Image", "")), body["Image"]):
        yield "Config.Image"
    for key in ("Cmd", "User"):
        if key in body and raw.get(key) != body[key]:
            yield f"Config.{key}"
    # The image adds further variables and labels.
    if not set(body["Env"]) <= set(raw.get("Env") or ()):
        yield "Config.Env"
    ignored = {name: body["Labels"][name] for name in CREATION_LABELS if name in body["Labels"]}
    labels = {**(raw.get("Labels") or {}), **ignored}
    if not body["Labels"].items() <= labels.items():
        yield "Config.Labels"


def _normalize_empty(value: Any) -> Any:
    # Daemons show an empty list or text as null.
    return value or None


def _normalize_network_mode(mode: str | None) -> str | None:
    if mode == "default":
        # A daemon with an API before 1.44 shows its default network as `default`.
        return "bridge"
    if str(mode).startswith("container:"):
        # A daemon shows the other container's id, whether the request had its id or its name.
        return "container:"
    return mode or None


def _normalize_capabilities(names: Iterable[str] | None) -> list[str]:
    return sorted(canonical_capability(name) for name in names or ())


def _normalize_binds(binds: Iterable[str] | None) -> list[tuple[str, str, list[str]]]:
    # A daemon may reorder binds and their options, and add the defaults to them.
    return sorted(_normalize_bind(bind) for bind in binds or ())


def _normalize_bind(bind: str) -> tuple[str, str, list[str]]:
    source, _, rest = bind.partition(":")
    target, _, options = rest.partition(":")
    return source, target, sorted({*options.split(",")} - _DEFAULT_BIND_OPTIONS - {""})


def _normalize_devices(devices: Iterable[Mapping[str, str]] | None) -> list[tuple[str, ...]]:
    # A daemon fills in the path in the container and the permissions if a client left them out.
    return sorted(
        (
            device["PathOnHost"],
            device.get("PathInContainer") or device["PathOnHost"],
            "".join(sorted(device.get("CgroupPermissions") or "rwm")),
        )
        for device in devices or ()
    )


def _normalize_security_options(options: Iterable[str] | None) -> list[tuple[str, str]]:
    # Docker takes `name`, `name:value` and `name=value`; a daemon may show another form than sent.
    parts = (re.split("[=:]", option, maxsplit=1) for option in options or ())
    return sorted((name, value[0] if value else "true") for name, *value in parts)


_NORMALIZERS: Mapping[str, Callable[[Any], object]] = {
    "Binds": _normalize_binds,
    "CapAdd": _normalize_capabilities,
    "Devices": _normalize_devices,
    "NetworkMode": _normalize_network_mode,
    "SecurityOpt": _normalize_security_options,
}
"""Functions that give all values of one meaning the same form, by field."""
