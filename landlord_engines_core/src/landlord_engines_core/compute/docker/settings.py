"""The operator's settings in the section ``compute.docker``: the daemon's address, and the policy."""

import re
from pathlib import PurePosixPath

import attrs

from landlord_engines_core.errors import SettingsError
from landlord_engines_core.settings.types import Duration, Secret

__all__ = ["DockerSettings", "Policy", "Registry"]

_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9_.-]*")
_VOLUMES = re.compile(r"[A-Za-z0-9_.*?-]+")
_CAPABILITY = re.compile(r"(CAP_)?[A-Z][A-Z_]{2,}")


@attrs.frozen(kw_only=True)
class Policy:
    """Rights that the operator grants to tenants; by default none.

    Attributes:
        host_network: Whether tenants may use the network mode ``host``.
        container_network: Whether tenants may join another container's network namespace.
        privileged: Whether tenants may run privileged containers.
        capabilities: Capabilities that tenants may add.
        devices: Host devices that tenants may use.
        bind_roots: Host paths that tenants may mount. Paths below a root may be mounted too if the
            worker sees the root. Only trusted users may write above a mounted path: Docker mounts
            the target of a link there.
        volumes: Names or patterns (``shared-*``) of volumes that any tenant may mount. They belong to
            the operator, and no delete removes them. Other volumes belong to one tenant each.
        engine_socket: Whether tenants may mount the daemon's socket, and so control its machine.
        no_new_privileges: Keep processes from gaining privileges, for example by setuid programs.
        pids_limit: Maximum number of processes in a container.
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
    """Credentials for a registry."""

    username: str
    password: Secret


@attrs.frozen(kw_only=True)
class DockerSettings:
    """The operator's settings.

    Attributes:
        host: The daemon's address, as in ``DOCKER_HOST``.
        cert_path: The folder with ca.pem, cert.pem and key.pem, as in ``DOCKER_CERT_PATH``.
        tls_verify: Whether to use TLS over TCP, as in ``DOCKER_TLS_VERIFY``.
        network_name: The network of tenants without a network mode; created if it is missing.
        network_driver: The driver of a network that is created.
        label_prefix: The prefix of container names and of a copy of three labels.
        registries: Credentials by a registry's address, ``docker.io`` for Docker Hub.
        stop_timeout: Seconds for a container to stop before it is killed.
        stable_window: Time without a restart after which a container without any health check is
            healthy. It grows with each restart.
        health_timeout: Time for a container to become healthy in an update, and to pass its check.
        request_timeout: Time for the daemon to answer.
    """

    # The variables of Docker's own clients override the file, as in Landlord.
    host: str = attrs.field(
        default="unix:///var/run/docker.sock",
        metadata={"environment": {"DOCKER_HOST": "{}"}},
    )
    cert_path: str = attrs.field(default="", metadata={"environment": {"DOCKER_CERT_PATH": "{}"}})
    # Docker's clients read any text as yes.
    tls_verify: bool = attrs.field(
        default=False, metadata={"environment": {"DOCKER_TLS_VERIFY": "true"}}
    )
    network_name: str = "bridge"
    network_driver: str = "bridge"
    label_prefix: str = "landlord"
    registries: dict[str, Registry] = attrs.field(factory=dict)
    policy: Policy = Policy()
    stop_timeout: int = 10
    stable_window: Duration = Duration(3.0)
    health_timeout: Duration = Duration(60.0)
    request_timeout: Duration = Duration(60.0)

    def check(self) -> None:
        """Check names, paths and numbers.

        Raises:
            SettingsError: With the path of each bad key, never its value.
        """
        if problems := [f"compute.docker.{problem}" for problem in _find_problems(self)]:
            raise SettingsError("; ".join(problems), hint="correct each setting in its source")


def _find_problems(settings: DockerSettings) -> list[str]:
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
            map(_is_plain_path, policy.bind_roots)
        ),
        "policy.devices must be absolute paths without '..'": all(
            map(_is_plain_path, policy.devices)
        ),
        "policy.capabilities must be names such as NET_ADMIN": all(
            map(_CAPABILITY.fullmatch, policy.capabilities)
        ),
        "policy.volumes must be names of volumes, or patterns with '*' and '?'": all(
            map(_VOLUMES.fullmatch, policy.volumes)
        ),
        "policy.pids_limit must be above zero": policy.pids_limit > 0,
        "health_timeout and request_timeout must be above zero": settings.health_timeout > 0
        and settings.request_timeout > 0,
        "stop_timeout must not be below zero": settings.stop_timeout >= 0,
    }
    return [problem for problem, is_met in checks.items() if not is_met]


def _is_plain_path(path: str) -> bool:
    """Return whether a path is absolute and has no ``..``."""
    return path.startswith("/") and ".." not in PurePosixPath(path).parts
