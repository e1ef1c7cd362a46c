"""What a tenant's configuration may not do, unless the operator's policy says so.

Keys that only Docker knows, such as ``HostConfig``, never reach the engine in any case. One that asks
for more rights is refused all the same: to leave it out in silence would run something else than
what was asked for.
"""

import re
from collections.abc import Iterator, Mapping
from pathlib import Path, PurePosixPath

from landlord_engines_core.compute.docker.config import ContainerConfig
from landlord_engines_core.compute.docker.settings import Policy
from landlord_engines_core.errors import ComputeRefused

__all__ = ["capability", "check", "is_allowed_bind", "is_in_data_root"]

_SOCKETS = ("/run/docker.sock", "/run/containerd/containerd.sock")

_NEVER = {
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
"""Keys of Docker and of Compose that ask for more rights, in small letters and without marks."""

_OURS = {"capadd": "cap_add", "devices": "devices", "networkmode": "network_mode"}
_OURS |= {"privileged": "privileged", "binds": "volumes", "network": "network_mode"}
"""What some spell otherwise; the right key is there for those whom the policy allows it."""


def check(
    original: Mapping[str, object], config: ContainerConfig, policy: Policy, host: str
) -> None:
    """Refuse what the policy does not allow.

    Args:
        original: The effective configuration, with the keys that we do not read.
        config: The same, as we read it.
        policy: What the operator allows.
        host: The engine's address, whose socket must not be mounted.

    Raises:
        ComputeRefused: With the path of each bad key, never its value.
    """
    problems = [
        *_foreign(original),
        *_network(config, policy),
        *_rights(config, policy),
        *_mounts(config, policy, host),
    ]
    if problems:
        raise ComputeRefused(
            f"the policy of this worker refuses {'; '.join(problems)}",
            hint="change the tenant's configuration, or compute.docker.policy",
        )


def capability(name: str) -> str:
    """A capability as Docker shows it: it takes any case, with ``CAP_`` or without."""
    return f"CAP_{name.upper().removeprefix('CAP_')}"


def _foreign(original: Mapping[str, object]) -> Iterator[str]:
    for key, value in original.items():
        # As lenient as an engine's reader is, which knows keys in any case.
        plain = re.sub(r"[\W_]", "", key.casefold())
        if not value or key in _OURS.values():
            continue
        if plain in _NEVER:
            yield f"$.{key}"
        elif plain in _OURS:
            yield f"$.{key}, which is spelt {_OURS[plain]}"


def _network(config: ContainerConfig, policy: Policy) -> Iterator[str]:
    if config.network_mode == "host" and not policy.host_network:
        yield "the host's network in $.network_mode"
    if config.network_mode.startswith("container:") and not policy.container_network:
        yield "another container's network in $.network_mode"


def _rights(config: ContainerConfig, policy: Policy) -> Iterator[str]:
    if config.privileged and not policy.privileged:
        yield "$.privileged"
    allowed = {capability(name) for name in policy.capabilities}
    for index, name in enumerate(config.cap_add):
        if capability(name) not in allowed:
            yield f"$.cap_add[{index}]"
    for index, device in enumerate(config.devices):
        if device not in policy.devices:
            yield f"$.devices[{index}]"


def _mounts(config: ContainerConfig, policy: Policy, host: str) -> Iterator[str]:
    for index, volume in enumerate(config.mounts()):
        if volume.is_bind and not is_allowed_bind(volume.source, policy.bind_roots, host):
            yield f"a folder of the host in $.volumes[{index}]"
        elif volume.is_bind and _reaches_socket(volume.source, host) and not policy.engine_socket:
            yield f"the engine's socket in $.volumes[{index}]"


def is_allowed_bind(source: str, roots: tuple[str, ...], host: str) -> bool:
    """Whether a folder may be mounted: a root itself, or below one as written and in truth.

    An engine follows the links of its own host and tells of none. Where they lead can be seen only
    where the worker sees the root, too; elsewhere nothing but the roots themselves is allowed.

    Args:
        source: The folder, absolute and without ``..``.
        roots: The folders that the policy names.
        host: The engine's address.
    """
    folder = PurePosixPath(source)
    if not host.startswith("unix://"):
        return any(folder == PurePosixPath(root) for root in roots)
    return any(
        folder == PurePosixPath(root) or Path(root).is_dir()
        for root in roots
        if folder.is_relative_to(root)
    ) and any(Path(source).resolve().is_relative_to(Path(root).resolve()) for root in roots)


def is_in_data_root(source: str, data_root: str, roots: tuple[str, ...]) -> bool:
    """Whether a folder holds what an engine keeps, such as volumes, or is a part of it.

    Only a root that is itself in there lets tenants have it: one above it means something else.

    Args:
        source: The folder, absolute and without ``..``.
        data_root: The engine's own folder.
        roots: The folders that the policy names.
    """
    meant = any(
        PurePosixPath(root).is_relative_to(data_root) and PurePosixPath(source).is_relative_to(root)
        for root in roots
    )
    data = {PurePosixPath(data_root), PurePosixPath(Path(data_root).resolve())}
    folders = {PurePosixPath(source), PurePosixPath(Path(source).resolve())}
    reached = any(a.is_relative_to(b) or b.is_relative_to(a) for a in data for b in folders)
    return reached and not meant


def _reaches_socket(source: str, host: str) -> bool:
    """Whether a socket that rules the host is what is mounted, or is somewhere in it."""
    own = (host.removeprefix("unix://"),) if host.startswith("unix://") else ()
    sockets = [_plain(socket) for socket in (*own, *_SOCKETS)]
    sources = (_plain(source), _plain(str(Path(source).resolve())))
    return any(socket.is_relative_to(one) for socket in sockets for one in sources)


def _plain(path: str) -> PurePosixPath:
    """A path without a link that is on every host: ``/var/run`` is ``/run``."""
    pure = PurePosixPath("/", *PurePosixPath(path).parts[1:])
    if pure.is_relative_to("/var/run"):
        return PurePosixPath("/run", pure.relative_to("/var/run"))
    return pure
