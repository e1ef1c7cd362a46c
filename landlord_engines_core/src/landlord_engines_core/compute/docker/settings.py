"""The section ``compute.docker``: where the engine is, what tenants may do, and their defaults."""

import re
from collections.abc import Mapping
from pathlib import PurePosixPath

import attrs

from landlord_engines_core import codec
from landlord_engines_core.compute.docker.schema import SCHEMA
from landlord_engines_core.compute.unknown_keys import properties_of, unknown_keys
from landlord_engines_core.errors import ComputeRefused

__all__ = ["DockerSettings", "Policy", "Registry", "read_section"]

_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9_.-]*")
_VOLUMES = re.compile(r"[A-Za-z0-9_.*?-]+")
_CAPABILITY = re.compile(r"(CAP_)?[A-Z][A-Z_]{2,}")


@attrs.frozen(kw_only=True)
class Policy:
    """What the operator lets tenants do; without it, nothing of this.

    Attributes:
        host_network: Share the host's network.
        container_network: Share another container's network.
        privileged: Run privileged.
        capabilities: Capabilities that may be added.
        devices: Devices of the host that may be had.
        bind_roots: Folders of the host that may be mounted, and where the worker sees them, what is
            below. Nobody else may be able to write above what is mounted: what a link there leads
            to would be mounted.
        volumes: Volumes that any tenant may mount, by name or by pattern: ``shared-*``. They are the
            operator's, and no delete of a tenant removes one. Without it, tenants have their own.
        engine_socket: Mount the socket of the engine, which is to rule the host.
        no_new_privileges: Keep processes from gaining privileges, by setuid programs for example.
        pids_limit: How many processes a container may have.
    """

    host_network: bool = False
    container_network: bool = False
    privileged: bool = False
    capabilities: tuple[str, ...] = ()
    devices: tuple[str, ...] = ()
    bind_roots: tuple[str, ...] = ()
    volumes: tuple[str, ...] = ()
    engine_socket: bool = False
    no_new_privileges: bool = True
    pids_limit: int = 512


@attrs.frozen(kw_only=True)
class Registry:
    """What a registry wants to know before it hands out an image."""

    username: str
    password: str = attrs.field(repr=False)


@attrs.frozen(kw_only=True)
class DockerSettings:
    """The operator's part of the section. All times are seconds.

    Attributes:
        host: The engine's address, as ``DOCKER_HOST`` has it.
        cert_path: The folder with ca.pem, cert.pem and key.pem, as ``DOCKER_CERT_PATH`` has it.
        tls_verify: Whether to speak TLS to an engine over TCP, as ``DOCKER_TLS_VERIFY`` has it.
        network_name: The network of tenants that name no network mode; made if it is missing.
        network_driver: The driver of a network that is made.
        label_prefix: What a container's name and three copies of its labels begin with.
        registries: Credentials by the address of a registry, ``docker.io`` for Docker's own.
        stop_timeout: How long a container may take to stop before it is killed.
        stable_window: How long a container must run without a restart to count as healthy, where
            neither its image nor its configuration has a check; longer after restarts.
        health_timeout: How long a new container may take to become healthy in an update, and any
            to answer its check, before it has failed.
        request_timeout: How long the engine may take to answer.
    """

    host: str = "unix:///var/run/docker.sock"
    cert_path: str = ""
    tls_verify: bool = False
    network_name: str = "bridge"
    network_driver: str = "bridge"
    label_prefix: str = "landlord"
    registries: Mapping[str, Registry] = attrs.field(factory=dict)
    policy: Policy = attrs.field(factory=Policy)
    stop_timeout: int = 10
    stable_window: float = 3.0
    health_timeout: float = 60.0
    request_timeout: float = 60.0


def read_section(section: Mapping[str, object]) -> tuple[DockerSettings, dict[str, object]]:
    """Take a section apart.

    Returns:
        The operator's settings, and the rest: the defaults of tenants' configurations.

    Raises:
        ComputeRefused: With the path of each bad key, never its value.
    """
    known = _names(DockerSettings)
    ours = {
        key: value for key, value in section.items() if key in known and value not in ("", None)
    }
    defaults = {key: value for key, value in section.items() if key not in known}
    try:
        settings = codec.structure(ours, DockerSettings)
    except codec.BadDocument as error:
        raise ComputeRefused(str(error)) from None
    problems = [
        *unknown_keys(section, {*known, *properties_of(SCHEMA)}),
        *unknown_keys(_policy(ours), _names(Policy), "policy."),
        *_problems(settings),
    ]
    if problems:
        raise ComputeRefused("; ".join(problems))
    return settings, defaults


def _names(kind: type) -> set[str]:
    return {field.name for field in attrs.fields(kind)}


def _policy(section: Mapping[str, object]) -> Mapping[str, object]:
    policy = section.get("policy")
    assert isinstance(policy, Mapping | None), "it was structured"
    return policy or {}


def _problems(settings: DockerSettings) -> list[str]:
    policy = settings.policy
    checks = {
        "host must begin with unix://, tcp://, http:// or https://": settings.host.startswith(
            ("unix:///", "tcp://", "http://", "https://")
        ),
        "label_prefix must be letters, digits, '.', '_' and '-'": bool(
            _NAME.fullmatch(settings.label_prefix)
        ),
        "network_name must be letters, digits, '.', '_' and '-'": bool(
            _NAME.fullmatch(settings.network_name)
        ),
        "policy.bind_roots must be absolute paths without '..'": all(
            map(_is_root, policy.bind_roots)
        ),
        "policy.devices must be absolute paths without '..'": all(map(_is_root, policy.devices)),
        "policy.capabilities must be names such as NET_ADMIN": all(
            _CAPABILITY.fullmatch(one) for one in policy.capabilities
        ),
        "policy.volumes must be names of volumes, or patterns with '*' and '?'": all(
            _VOLUMES.fullmatch(one) for one in policy.volumes
        ),
        "policy.pids_limit must be above zero": policy.pids_limit > 0,
        "health_timeout and request_timeout must be above zero": settings.health_timeout > 0
        and settings.request_timeout > 0,
        "stop_timeout and stable_window must not be below zero": settings.stop_timeout >= 0
        and settings.stable_window >= 0,
    }
    return [problem for problem, holds in checks.items() if not holds]


def _is_root(path: str) -> bool:
    return path.startswith("/") and ".." not in PurePosixPath(path).parts
