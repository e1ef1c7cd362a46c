"""A tenant's configuration: its schema, and its form as typed values.

Unknown keys are accepted, as in Landlord, but ignored.
"""

import re
from collections.abc import Iterable, Iterator, Mapping

import attrs

from landlord_engines_core import codec
from landlord_engines_core.errors import ComputeRefused

__all__ = ["SCHEMA", "ContainerConfig", "HealthCheck", "Port", "Resources", "Volume", "read_config"]

_STRINGS = {"type": "array", "items": {"type": "string"}}
_STRING_MAP = {"type": "object", "additionalProperties": {"type": "string"}}
_PORT = {"type": "integer", "minimum": 1, "maximum": 65535}

_LANDLORD_PROPERTIES: Mapping[str, object] = {
    "image": {"type": "string"},
    "env": _STRING_MAP,
    "volumes": _STRINGS,
    "network_mode": {"type": "string"},
    "ports": {
        "type": "array",
        "items": {
            "type": "object",
            "properties": {
                "container_port": _PORT,
                "host_port": _PORT,
                "protocol": {"enum": ["tcp", "udp"]},
            },
            "required": ["container_port"],
            "additionalProperties": False,
        },
    },
    "restart_policy": {"enum": ["no", "always", "on-failure", "unless-stopped"]},
    "labels": _STRING_MAP,
}
"""Properties that Landlord also defines.

See internal/compute/providers/docker/docker.go (Landlord at commit 98ffef1).
"""

_ADDED_PROPERTIES: Mapping[str, object] = {
    "command": _STRINGS,
    "args": _STRINGS,
    "user": {"type": "string"},
    "read_only": {"type": "boolean"},
    "privileged": {"type": "boolean"},
    "cap_add": _STRINGS,
    "devices": _STRINGS,
    "pull_policy": {"enum": ["missing", "always", "never"]},
    "remove_volumes": {"type": "boolean"},
    "resources": {
        "type": "object",
        "properties": {
            "cpu": {
                "type": "integer",
                "minimum": 1,
                "description": "in millicores (1000 = one CPU)",
            },
            "memory": {"type": "integer", "minimum": 1, "description": "in MiB"},
        },
    },
    "health_check": {
        "type": "object",
        "properties": {
            "type": {"enum": ["http", "tcp"]},
            "port": _PORT,
            # Python's `$` also matches before a trailing newline; `not` excludes that.
            "http_path": {
                "type": "string",
                "pattern": "^/[!-~]*$",
                "not": {"pattern": "\\n"},
            },
        },
        "required": ["type", "port"],
    },
}
"""Properties that only this engine defines."""

SCHEMA: Mapping[str, object] = {
    "$schema": "https://json-schema.org/draft/2020-12/schema",
    "type": "object",
    "properties": {**_LANDLORD_PROPERTIES, **_ADDED_PROPERTIES},
    "required": ["image"],
    "additionalProperties": True,
}
"""JSON Schema of a tenant's configuration."""

_IMAGE = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]*([:/@][A-Za-z0-9_][A-Za-z0-9._+-]*)*")
"""No part begins with a dot: a reference becomes part of a URL's path."""
_VOLUME_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9_.-]+")
_VOLUME_OPTIONS = {"ro", "rw", "z", "Z", "nocopy", "cached", "delegated", "consistent"}
_USER = re.compile(r"[A-Za-z0-9_][A-Za-z0-9_.-]*(:[A-Za-z0-9_][A-Za-z0-9_.-]*)?")
_CONTAINER = re.compile(r"container:[A-Za-z0-9][A-Za-z0-9_.-]*")


@attrs.frozen(kw_only=True)
class Port:
    """A published port of the container; without ``host_port`` the daemon picks a free one."""

    container_port: int
    host_port: int | None = None
    protocol: str = "tcp"

    def __str__(self) -> str:
        return f"{self.container_port}/{self.protocol}"


@attrs.frozen(kw_only=True)
class Resources:
    """Limits: CPU in millicores, memory in MiB."""

    cpu: int | None = None
    memory: int | None = None


@attrs.frozen(kw_only=True)
class HealthCheck:
    """The check that the worker runs; over HTTP the status must be 200 to 399."""

    type: str
    port: int
    http_path: str = "/"


@attrs.frozen
class Volume:
    """A mount: a host path or a named volume, and the target in the container."""

    source: str
    target: str
    options: tuple[str, ...] = ()

    @property
    def is_bind(self) -> bool:
        """Whether the source is a host path."""
        return self.source.startswith("/")

    def __str__(self) -> str:
        return ":".join((self.source, self.target, *filter(None, [",".join(self.options)])))


@attrs.frozen(kw_only=True)
class ContainerConfig:
    """A tenant's configuration as typed values."""

    image: str
    command: tuple[str, ...] = ()
    args: tuple[str, ...] = ()
    env: Mapping[str, str] = attrs.field(factory=dict, repr=False)
    volumes: tuple[str, ...] = ()
    network_mode: str = ""
    ports: tuple[Port, ...] = ()
    restart_policy: str = "unless-stopped"
    labels: Mapping[str, str] = attrs.field(factory=dict, repr=False)
    user: str = ""
    read_only: bool = False
    privileged: bool = False
    cap_add: tuple[str, ...] = ()
    devices: tuple[str, ...] = ()
    pull_policy: str = "missing"
    remove_volumes: bool = False
    resources: Resources = attrs.field(factory=Resources)
    health_check: HealthCheck | None = None

    @property
    def network_container(self) -> str:
        """The container whose network namespace this one joins; empty if none."""
        prefix, _, name = self.network_mode.partition(":")
        return name if prefix == "container" else ""

    def mounts(self) -> tuple[Volume, ...]:
        """Return the volumes, each split into its parts."""
        return tuple(_parse_volume(text) for text in self.volumes)


def read_config(config: Mapping[str, object]) -> ContainerConfig:
    """Read a merged configuration (settings, Landlord's defaults, tenant) and check further rules.

    Raises:
        ComputeRefused: With the path of each bad key, never its value.
    """
    try:
        typed = codec.structure(config, ContainerConfig)
    except codec.BadDocument as error:
        raise ComputeRefused(f"docker refuses the configuration: {error}") from None
    if problems := list(_find_problems(typed)):
        raise ComputeRefused(f"docker refuses the configuration: {'; '.join(problems)}")
    return typed


def _parse_volume(text: str) -> Volume:
    source, target, *options = text.split(":")
    return Volume(source, target, tuple(options[0].split(",")) if options else ())


def _find_problems(config: ContainerConfig) -> Iterator[str]:
    checks = {
        "$.image must be an image reference": _IMAGE.fullmatch(config.image),
        "$.user must be user or user:group, each a name or a number": not config.user
        or _USER.fullmatch(config.user),
        "$.network_mode must be bridge, host, none or container:<name>": _is_network_mode(
            config.network_mode
        ),
        "$.env must not contain a variable name that is empty or has a '='": all(
            name and "=" not in name for name in config.env
        ),
        "$.health_check cannot reach a container without a network": config.health_check is None
        or config.network_mode != "none",
    }
    yield from (problem for problem, is_met in checks.items() if not is_met)
    for index, text in enumerate(config.volumes):
        if not _is_volume(text):
            yield f"$.volumes[{index}] must be source:/path or source:/path:options"
    for key in ("command", "args", "env", "labels"):
        if not all(_is_text(text) for text in _texts(getattr(config, key))):
            yield f"$.{key} must not contain a NUL or a lone surrogate"


def _is_network_mode(mode: str) -> bool:
    return mode in ("", "bridge", "host", "none") or bool(_CONTAINER.fullmatch(mode))


def _is_volume(text: str) -> bool:
    """Return whether a volume has valid parts; no absolute path may contain ``..``."""
    parts = text.split(":")
    if len(parts) not in (2, 3) or not _is_text(text):
        return False
    volume = _parse_volume(text)
    has_valid_source = volume.is_bind or bool(_VOLUME_NAME.fullmatch(volume.source))
    paths = (volume.target, *([volume.source] if volume.is_bind else []))
    return (
        has_valid_source
        and volume.target.startswith("/")
        and bool(volume.target.strip("/"))
        and not any(".." in path.split("/") for path in paths)
        and set(volume.options) <= _VOLUME_OPTIONS
    )


def _texts(value: Mapping[str, str] | tuple[str, ...]) -> Iterable[str]:
    return (*value.keys(), *value.values()) if isinstance(value, Mapping) else value


def _is_text(text: str) -> bool:
    """Return whether a daemon can store the text: it has no NUL and no lone surrogate."""
    return "\0" not in text and text == text.encode("utf-8", "replace").decode()
