"""Containers that Landlord's own worker made, and that go on without a restart.

That worker writes down no configuration, and the labels of a container cannot be changed. Such a
container is compared with what is wanted each time, until something has to change. What hardens a
container and cannot be set while it runs comes with the first one that is made here.
"""

from collections.abc import Iterator, Mapping
from typing import Any

from landlord_engines_core.compute.docker.body import Body, differences
from landlord_engines_core.compute.docker.client import DockerClient
from landlord_engines_core.compute.docker.found import Container

__all__ = ["is_as_wanted"]

_HARDENING = ("IpcMode", "PidsLimit", "SecurityOpt")
"""What Landlord's own worker sets never, and this one always."""

_ANY_ADDRESS = ("", "0.0.0.0", "::")  # noqa: S104  # compared, and never listened on


async def is_as_wanted(client: DockerClient, container: Container, body: Body) -> bool:
    """Whether a container that has no hash is what would be made now, hardening aside.

    Args:
        client: Tells of its image.
        container: As its engine shows it.
        body: What would be sent to make it.
    """
    if "Healthcheck" in body:
        # A check of ours is kept in a label, which this container cannot get.
        return False
    image = await client.image(container.shown["Image"])
    meant = await client.image_id(body["Image"])
    if meant and meant != container.shown["Image"]:
        return False
    return not [*_unlike(body, container.shown, image.get("Config") or {})]


def _unlike(body: Body, shown: Mapping[str, Any], image: Mapping[str, Any]) -> Iterator[str]:
    host = {key: value for key, value in body["HostConfig"].items() if key not in _HARDENING}
    host["PortBindings"] = _bindings(host["PortBindings"])
    theirs = {**shown["HostConfig"], "PortBindings": _bindings(shown["HostConfig"]["PortBindings"])}
    yield from differences(
        {**body, "HostConfig": host, "Labels": {}},
        {**shown, "HostConfig": theirs},
    )
    config = shown["Config"]
    if _variables(config) != {**_variables(image), **_variables(body)}:
        yield "Config.Env"
    if _labels(config) != {**_labels(image), **_labels(body)}:
        yield "Config.Labels"
    for key in ("Cmd", "Entrypoint", "User"):
        if (config.get(key) or None) != (body.get(key) or image.get(key) or None):
            yield f"Config.{key}"


def _labels(config: Mapping[str, Any]) -> dict[str, str]:
    """Labels but ours, which say of a configuration what this container cannot say."""
    labels: Mapping[str, str] = config.get("Labels") or {}
    return {name: value for name, value in labels.items() if not name.startswith("landlord.")}


def _variables(config: Mapping[str, Any]) -> dict[str, str]:
    return dict(one.partition("=")[::2] for one in config.get("Env") or ())


def _bindings(bindings: Mapping[str, Any] | None) -> Body:
    """Ports of the host, without the address where it is any: Landlord's own worker names 0.0.0.0."""
    return {
        port: [
            {**one, "HostIp": ""} if one.get("HostIp", "") in _ANY_ADDRESS else one
            for one in several
        ]
        for port, several in (bindings or {}).items()
    }
