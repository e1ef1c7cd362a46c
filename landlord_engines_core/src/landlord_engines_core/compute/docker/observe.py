"""Observation of a tenant's containers on the daemon."""

import json
from collections.abc import Iterable, Mapping
from typing import Any

import attrs

from landlord_engines_core.compute.docker.client import DockerClient
from landlord_engines_core.compute.docker.errors import NotFound
from landlord_engines_core.compute.docker.labels import (
    DROPPED,
    HASH,
    KEY_HASHES,
    LIMITS,
    REMOVE_VOLUMES,
    REPLACES,
    belongs_to,
    current_name,
    next_name,
    tenant_filters,
)
from landlord_engines_core.compute.docker.requests import limits_digest

__all__ = ["Container", "TenantContainers", "find_containers"]


@attrs.frozen
class Container:
    """A container, as the daemon describes it."""

    raw: Mapping[str, Any] = attrs.field(repr=False)

    @property
    def id(self) -> str:
        """The daemon's id."""
        return str(self.raw["Id"])

    @property
    def name(self) -> str:
        """The name, which the daemon shows with a slash."""
        return str(self.raw["Name"]).removeprefix("/")

    @property
    def created(self) -> str:
        """The time of creation as text that sorts."""
        # Daemons leave out the last zeros of a fraction.
        whole, _, fraction = str(self.raw["Created"]).removesuffix("Z").partition(".")
        return f"{whole}.{fraction:0<9}"

    @property
    def status(self) -> str:
        """One of created, running, paused, restarting, removing, exited and dead."""
        return str(self.raw["State"]["Status"])

    @property
    def is_running(self) -> bool:
        """Whether the container runs, or is being restarted by the daemon."""
        return self.status in ("running", "restarting")

    @property
    def was_interrupted(self) -> bool:
        """Whether it was stopped from outside. If its program exits, the daemon restarts it."""
        policy = self.raw["HostConfig"]["RestartPolicy"]["Name"]
        has_failed = self.raw["State"]["ExitCode"] != 0
        is_restarted = policy in ("always", "unless-stopped") or (
            policy == "on-failure" and has_failed
        )
        return self.status == "exited" and is_restarted

    @property
    def config_hash(self) -> str:
        """The hash of its configuration; empty if Landlord's Go worker created it."""
        return self._label(HASH)

    @property
    def key_hashes(self) -> Mapping[str, str]:
        """The hashes of the configuration's values by key."""
        hashes: dict[str, str] = json.loads(self._label(KEY_HASHES) or "{}")
        return hashes

    @property
    def replaces(self) -> str:
        """The id of the serving container that this one was created to replace; may be empty."""
        return self._label(REPLACES)

    @property
    def removes_volumes(self) -> bool:
        """Whether its volumes are removed with it."""
        return bool(self._label(REMOVE_VOLUMES))

    @property
    def dropped_volumes(self) -> list[str]:
        """The named volumes that updates left behind and that the delete has to remove."""
        dropped: list[str] = json.loads(self._label(DROPPED) or "[]")
        return dropped

    @property
    def named_volumes(self) -> list[str]:
        """The volumes that its configuration names."""
        sources = {bind.partition(":")[0] for bind in self.raw["HostConfig"].get("Binds") or ()}
        return [volume for volume in self.volumes if volume in sources]

    @property
    def network(self) -> str:
        """The name of the network that it was created for."""
        mode = str(self.raw["HostConfig"]["NetworkMode"])
        return "bridge" if mode == "default" else mode

    @property
    def network_id(self) -> str:
        """The id of that network; empty before the first start and for modes without a network."""
        networks = self.raw["NetworkSettings"]["Networks"]
        return str(networks.get(self.network, {}).get("NetworkID", ""))

    @property
    def network_container_id(self) -> str:
        """The id of the container whose network namespace it joins; empty if none."""
        prefix, _, container_id = self.network.partition(":")
        return container_id if prefix == "container" else ""

    @property
    def labels(self) -> Mapping[str, str]:
        """The labels, those of the image included."""
        labels: Mapping[str, str] = self.raw["Config"].get("Labels") or {}
        return labels

    @property
    def volumes(self) -> list[str]:
        """The names of its volumes; the daemon generates names for unnamed ones."""
        return [mount["Name"] for mount in self.raw["Mounts"] if mount["Type"] == "volume"]

    @property
    def resource_ids(self) -> dict[str, str]:
        """Ids for the tenant's record: the container's id, and its host ports by container port."""
        ports = self.raw["NetworkSettings"].get("Ports") or {}
        published = {
            port: ",".join(sorted({binding["HostPort"] for binding in bindings}))
            for port, bindings in ports.items()
            if bindings
        }
        return {"container_id": self.id, **published}

    @property
    def drift(self) -> str:
        """The change since its creation, in words; empty if none."""
        limits = self._label(LIMITS)
        if limits and limits != limits_digest(self.raw["HostConfig"]):
            return "its limits were changed"
        if (
            self.network not in self.raw["NetworkSettings"]["Networks"]
            and not self.network_container_id
        ):
            return "it was disconnected from its network"
        return ""

    def _label(self, name: str) -> str:
        return self.labels.get(name, "")


@attrs.frozen(kw_only=True)
class TenantContainers:
    """The containers of one tenant.

    Attributes:
        current: The container that serves, or should serve.
        replacement: The container that an update created to replace it.
        orphans: Other containers with the tenant's labels, which should not exist.
    """

    current: Container | None = None
    replacement: Container | None = None
    orphans: tuple[Container, ...] = ()

    @property
    def all(self) -> tuple[Container, ...]:
        """All containers."""
        tenant_containers = (self.current, self.replacement)
        return (
            *(container for container in tenant_containers if container is not None),
            *self.orphans,
        )


async def find_containers(client: DockerClient, prefix: str, tenant: str) -> TenantContainers:
    """Find a tenant's containers by their labels."""
    containers = []
    for listed in await client.containers(tenant_filters(tenant)):
        if belongs_to(listed.get("Labels") or {}, tenant):
            try:
                containers.append(Container(await client.inspect(listed["Id"])))
            except NotFound:
                # It was removed since the daemon listed it.
                continue
    return _classify(containers, prefix, tenant)


def _classify(containers: Iterable[Container], prefix: str, tenant: str) -> TenantContainers:
    by_name = {container.name: container for container in containers}
    current = by_name.pop(current_name(prefix, tenant), None)
    replacement = by_name.pop(next_name(prefix, tenant), None)
    # A container that somebody renamed, or that was created under another prefix, may serve the
    # tenant. A running one is preferred, then the oldest.
    others = sorted(
        by_name.values(), key=lambda container: (container.status != "running", container.created)
    )
    if current is None and others:
        current, *others = others
    return TenantContainers(current=current, replacement=replacement, orphans=tuple(others))
