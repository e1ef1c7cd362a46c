"""What an engine has of a tenant, and which of it is what."""

import json
from collections.abc import Iterable, Mapping
from typing import Any

import attrs

from landlord_engines_core.compute.docker import names
from landlord_engines_core.compute.docker.answers import NotFound
from landlord_engines_core.compute.docker.body import limits_of
from landlord_engines_core.compute.docker.client import DockerClient

__all__ = ["Container", "TenantContainers", "find"]


@attrs.frozen
class Container:
    """A container as its engine shows it."""

    shown: Mapping[str, Any] = attrs.field(repr=False)

    @property
    def id(self) -> str:
        """The engine's id of it."""
        return str(self.shown["Id"])

    @property
    def name(self) -> str:
        """Its name, which an engine shows with a slash."""
        return str(self.shown["Name"]).removeprefix("/")

    @property
    def created(self) -> str:
        """When it was made, as text that sorts: engines leave a fraction's last zeros out."""
        whole, _, fraction = str(self.shown["Created"]).removesuffix("Z").partition(".")
        return f"{whole}.{fraction:0<9}"

    @property
    def status(self) -> str:
        """What it does: created, running, paused, restarting, removing, exited or dead."""
        return str(self.shown["State"]["Status"])

    @property
    def runs(self) -> bool:
        """Whether it is up, or was to be just now."""
        return self.status in ("running", "restarting")

    @property
    def was_cut(self) -> bool:
        """Whether somebody stopped it, or its engine died: by itself it would have been restarted."""
        policy = self.shown["HostConfig"]["RestartPolicy"]["Name"]
        failed = self.shown["State"]["ExitCode"] != 0
        kept = policy in ("always", "unless-stopped") or (policy == "on-failure" and failed)
        return self.status == "exited" and kept

    @property
    def config_hash(self) -> str:
        """The hash of its configuration; empty where Landlord's own worker made it."""
        return self._label(names.HASH)

    @property
    def key_hashes(self) -> Mapping[str, str]:
        """The hashes of the values of its configuration."""
        hashes: dict[str, str] = json.loads(self._label(names.KEY_HASHES) or "{}")
        return hashes

    @property
    def replaces(self) -> str:
        """The id of the container that served when this one was made."""
        return self._label(names.REPLACES)

    @property
    def takes_volumes_along(self) -> bool:
        """Whether its volumes are to be removed with it."""
        return bool(self._label(names.REMOVE_VOLUMES))

    @property
    def dropped_volumes(self) -> list[str]:
        """The named volumes that updates left behind and that are to be removed with the tenant."""
        dropped: list[str] = json.loads(self._label(names.DROPPED) or "[]")
        return dropped

    @property
    def named_volumes(self) -> list[str]:
        """The volumes that its configuration names."""
        named = {bind.partition(":")[0] for bind in self.shown["HostConfig"].get("Binds") or ()}
        return [volume for volume in self.volumes if volume in named]

    @property
    def network(self) -> str:
        """The name of the network that it was made for."""
        mode = str(self.shown["HostConfig"]["NetworkMode"])
        return "bridge" if mode == "default" else mode

    @property
    def network_id(self) -> str:
        """The identity of that network; empty before the first start, and where it has none."""
        networks = self.shown["NetworkSettings"]["Networks"]
        return str(networks.get(self.network, {}).get("NetworkID", ""))

    @property
    def partner_id(self) -> str:
        """The id of the container whose network it shares, or nothing."""
        prefix, _, partner = self.network.partition(":")
        return partner if prefix == "container" else ""

    @property
    def labels(self) -> Mapping[str, str]:
        """Its labels, those of its image included."""
        labels: Mapping[str, str] = self.shown["Config"].get("Labels") or {}
        return labels

    @property
    def volumes(self) -> list[str]:
        """The volumes that it has, those included that were not given a name."""
        return [one["Name"] for one in self.shown["Mounts"] if one["Type"] == "volume"]

    @property
    def resource_ids(self) -> dict[str, str]:
        """What a record keeps of it: its id, and which port of the host leads to each of its own."""
        ports = self.shown["NetworkSettings"].get("Ports") or {}
        taken = {
            port: ",".join(sorted({one["HostPort"] for one in bindings}))
            for port, bindings in ports.items()
            if bindings
        }
        return {"container_id": self.id, **taken}

    def drift(self) -> str:
        """What was changed of it since it was made, or nothing."""
        host = self.shown["HostConfig"]
        if (limits := self._label(names.LIMITS)) and limits != limits_of(host):
            return "its limits were changed"
        if self.network not in self.shown["NetworkSettings"]["Networks"] and not self.partner_id:
            return "it was taken off its network"
        return ""

    def _label(self, name: str) -> str:
        return self.labels.get(name, "")


@attrs.frozen(kw_only=True)
class TenantContainers:
    """A tenant's containers.

    Attributes:
        current: The one that serves, or should.
        replacement: The one that an update made to take its place.
        orphans: Others with the tenant's labels, which should not be there.
    """

    current: Container | None = None
    replacement: Container | None = None
    orphans: tuple[Container, ...] = ()

    @property
    def all(self) -> tuple[Container, ...]:
        """All of them."""
        return tuple(
            one for one in (self.current, self.replacement, *self.orphans) if one is not None
        )


async def find(client: DockerClient, prefix: str, tenant: str) -> TenantContainers:
    """Look for a tenant's containers by their labels."""
    listed = await client.containers(names.filters(tenant))
    shown = []
    for one in listed:
        if names.belongs_to(one.get("Labels") or {}, tenant):
            try:
                shown.append(Container(await client.show(one["Id"])))
            except NotFound:
                continue
    return _told_apart(shown, prefix, tenant)


def _told_apart(shown: Iterable[Container], prefix: str, tenant: str) -> TenantContainers:
    by_name = {one.name: one for one in shown}
    current = by_name.pop(names.current_name(prefix, tenant), None)
    replacement = by_name.pop(names.next_name(prefix, tenant), None)
    # One that was renamed, or named by another prefix: what runs comes first, then what is older.
    others = sorted(by_name.values(), key=lambda one: (one.status != "running", one.created))
    if current is None and others:
        current, *others = others
    return TenantContainers(current=current, replacement=replacement, orphans=tuple(others))
