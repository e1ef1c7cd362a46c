"""Checks of a tenant's configuration against the operator's policy.

Keys that only Docker knows, such as ``HostConfig``, are never sent to the daemon. A configuration that
contains one is refused anyway: without the key the container would not be what the tenant expects.
"""

import re
from collections.abc import Iterator, Mapping
from pathlib import Path, PurePosixPath

from landlord_engines_core.compute.docker.config import ContainerConfig
from landlord_engines_core.compute.docker.settings import Policy
from landlord_engines_core.errors import ComputeRefused

__all__ = ["canonical_capability", "check_policy", "is_allowed_bind", "is_in_data_root"]

_SOCKETS = ("/run/docker.sock", "/run/containerd/containerd.sock")

_FORBIDDEN_KEYS = {
    "apparmor",
    "cgroup",
    "cgroupnsmode",
    "cgroupparent",
    "devicecgrouprules",
    "devicerequests",
    "gpus",
    "groupadd",
    "hostconfig",
    "ipc",
    "ipcmode",
    "maskedpaths",
    "mounts",
    "networkingconfig",
    "oomkilldisable",
    "pid",
    "pidmode",
    "pidslimit",
    "readonlypaths",
    "seccomp",
    "securityopt",
    "sysctls",
    "userns",
    "usernsmode",
    "uts",
    "utsmode",
    "volumesfrom",
}
"""Keys of Docker and Compose that ask for more rights, in lower case and without punctuation."""

_OTHER_SPELLINGS = {
    "binds": "volumes",
    "capadd": "cap_add",
    "devices": "devices",
    "network": "network_mode",
    "networkmode": "network_mode",
    "privileged": "privileged",
}
"""Keys of Docker and Compose, and the key of a configuration that means the same."""


def check_policy(
    original: Mapping[str, object], config: ContainerConfig, policy: Policy, host: str
) -> None:
    """Refuse a configuration that the policy does not allow.

    Args:
        original: The effective configuration, with the keys that are not read.
        config: The configuration, as read.
        policy: The operator's policy.
        host: The daemon's address, whose socket must not be mounted.

    Raises:
        ComputeRefused: With the path of each bad key, never its value.
    """
    problems = [
        *_check_keys(original),
        *_check_network(config, policy),
        *_check_rights(config, policy),
        *_check_mounts(config, policy, host),
    ]
    if problems:
        raise ComputeRefused(
            f"the policy of this worker refuses {'; '.join(problems)}",
            hint="change the tenant's configuration, or compute.docker.policy",
        )


def canonical_capability(name: str) -> str:
    """Return a capability as Docker shows it; Docker takes any case, with or without ``CAP_``."""
    return f"CAP_{name.upper().removeprefix('CAP_')}"


def _check_keys(original: Mapping[str, object]) -> Iterator[str]:
    for key, value in original.items():
        # The daemon accepts keys in any case, so this check does too.
        plain = re.sub(r"[\W_]", "", key.casefold())
        if not value or key in _OTHER_SPELLINGS.values():
            continue
        if plain in _FORBIDDEN_KEYS:
            yield f"$.{key}"
        elif plain in _OTHER_SPELLINGS:
            yield f"$.{key} (use $.{_OTHER_SPELLINGS[plain]} instead)"


def _check_network(config: ContainerConfig, policy: Policy) -> Iterator[str]:
    if config.network_mode == "host" and not policy.host_network:
        yield "the host network in $.network_mode"
    if config.network_mode.startswith("container:") and not policy.container_network:
        yield "another container's network in $.network_mode"


def _check_rights(config: ContainerConfig, policy: Policy) -> Iterator[str]:
    if config.privileged and not policy.privileged:
        yield "$.privileged"
    allowed = {canonical_capability(name) for name in policy.capabilities}
    for index, name in enumerate(config.cap_add):
        if canonical_capability(name) not in allowed:
            yield f"$.cap_add[{index}]"
    for index, device in enumerate(config.devices):
        if device not in policy.devices:
            yield f"$.devices[{index}]"


def _check_mounts(config: ContainerConfig, policy: Policy, host: str) -> Iterator[str]:
    for index, volume in enumerate(config.mounts()):
        if volume.is_bind and not is_allowed_bind(volume.source, policy.bind_roots, host):
            yield f"a host path in $.volumes[{index}]"
        elif volume.is_bind and _reaches_socket(volume.source, host) and not policy.engine_socket:
            yield f"the Docker daemon's socket in $.volumes[{index}]"


def is_allowed_bind(source: str, roots: tuple[str, ...], host: str) -> bool:
    """Return whether a folder may be mounted: it is a root, or below a root with links resolved.

    Args:
        source: The folder, absolute and without ``..``.
        roots: The folders that the policy names.
        host: The daemon's address.
    """
    # The daemon follows links on its machine and reports none. The worker can resolve a link only
    # if it sees the same files; otherwise it allows the roots themselves and nothing below them.
    folder = PurePosixPath(source)
    if not host.startswith("unix://"):
        return any(folder == PurePosixPath(root) for root in roots)
    return any(
        folder == PurePosixPath(root) or Path(root).is_dir()
        for root in roots
        if folder.is_relative_to(root)
    ) and any(Path(source).resolve().is_relative_to(Path(root).resolve()) for root in roots)


def is_in_data_root(source: str, data_root: str, roots: tuple[str, ...]) -> bool:
    """Return whether a folder contains the daemon's data, such as volumes, or is a part of it.

    Args:
        source: The folder, absolute and without ``..``.
        data_root: The daemon's data folder.
        roots: The folders that the policy names.
    """
    # A root inside the data folder was named on purpose. A root above it was not: the operator who
    # names /var does not mean other tenants' volumes.
    is_intended = any(
        PurePosixPath(root).is_relative_to(data_root) and PurePosixPath(source).is_relative_to(root)
        for root in roots
    )
    data = {PurePosixPath(data_root), PurePosixPath(Path(data_root).resolve())}
    folders = {PurePosixPath(source), PurePosixPath(Path(source).resolve())}
    overlaps = any(a.is_relative_to(b) or b.is_relative_to(a) for a in data for b in folders)
    return overlaps and not is_intended


def _reaches_socket(source: str, host: str) -> bool:
    """Return whether a mount is, or contains, a socket that controls the machine."""
    daemon_socket = (host.removeprefix("unix://"),) if host.startswith("unix://") else ()
    sockets = [_normalize_path(socket) for socket in (*daemon_socket, *_SOCKETS)]
    mounts = (_normalize_path(source), _normalize_path(str(Path(source).resolve())))
    return any(socket.is_relative_to(mount) for socket in sockets for mount in mounts)


def _normalize_path(path: str) -> PurePosixPath:
    # On Linux /var/run is a link to /run.
    pure = PurePosixPath("/", *PurePosixPath(path).parts[1:])
    if pure.is_relative_to("/var/run"):
        return PurePosixPath("/run", pure.relative_to("/var/run"))
    return pure
