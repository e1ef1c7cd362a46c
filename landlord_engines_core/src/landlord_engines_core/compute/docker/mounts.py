"""Mounts that a tenant may have: its own volumes, and host paths without the Docker daemon's data.

A daemon mounts a volume into any container that names it; only the volume's labels name its tenant.
Creating an existing volume changes nothing. If two tenants create one volume, its labels name the first.
The volume could still be removed and created again before a container uses it. The mounts of a new
container are therefore checked once more.
"""

import re
from collections.abc import Iterator, Mapping
from fnmatch import fnmatchcase
from typing import Any

import attrs

from landlord_engines_core.compute.docker.client import DockerClient
from landlord_engines_core.compute.docker.config import ContainerConfig, Volume
from landlord_engines_core.compute.docker.labels import OWNER, belongs_to, identity_labels
from landlord_engines_core.compute.docker.observe import Container
from landlord_engines_core.compute.docker.policy import is_allowed_bind, is_in_data_root
from landlord_engines_core.compute.docker.settings import DockerSettings
from landlord_engines_core.errors import ComputeRefused

__all__ = ["Mounts"]

_FOREIGN_VOLUME = "is a volume that Landlord did not make for this tenant"
_DATA_FOLDER = "is a folder that contains the Docker daemon's data"


@attrs.frozen(kw_only=True)
class Mounts:
    """The mounts that one tenant may have.

    Attributes:
        tenant: The tenant's id.
        in_use: Volumes that the tenant's containers use already. Landlord's Go worker created
            volumes without labels, and its tenants keep them.
    """

    client: DockerClient
    settings: DockerSettings
    tenant: str
    in_use: frozenset[str] = frozenset()

    async def prepare(self, config: ContainerConfig) -> None:
        """Create the missing volumes of a configuration, and refuse forbidden mounts.

        Raises:
            ComputeRefused: With the path of each forbidden mount, and the setting that allows it.
        """
        problems = [await self._prepare_volume(volume) for volume in config.mounts()]
        message = "; ".join(
            f"$.volumes[{index}] {problem}" for index, problem in enumerate(problems) if problem
        )
        if message:
            raise ComputeRefused(
                f"the policy of this worker refuses the configuration: {message}",
                hint="name another volume; or allow this one: a volume by"
                " compute.docker.policy.volumes, a folder by compute.docker.policy.bind_roots",
            )

    async def find_forbidden(self, container: Container, config: ContainerConfig) -> list[str]:
        """Return the container field that differs, ``Mounts``, once per forbidden mount."""
        folders = [mount["Source"] for mount in container.raw["Mounts"] if mount["Type"] == "bind"]
        named = {volume.source for volume in config.mounts()}
        forbidden = []
        for name in container.volumes:
            volume = await self.client.volume(name)
            # A volume with a bind option mounts a host path.
            folders += _host_paths(volume.get("Options") or {})
            if name in named and not self._is_allowed_volume(volume):
                forbidden.append("Mounts")
        return forbidden + [
            "Mounts" for folder in folders if not await self._is_allowed_folder(folder)
        ]

    async def _prepare_volume(self, volume: Volume) -> str:
        """Create a volume if it is missing, and return why the tenant may not mount it, if so."""
        if volume.is_bind:
            return "" if await self._is_allowed_folder(volume.source) else _DATA_FOLDER
        await self.client.ensure_volume(volume.source, self._volume_labels(volume.source))
        is_allowed = self._is_allowed_volume(await self.client.volume(volume.source))
        return "" if is_allowed else _FOREIGN_VOLUME

    async def _is_allowed_folder(self, folder: str) -> bool:
        roots = self.settings.policy.bind_roots
        return is_allowed_bind(folder, roots, self.settings.host) and not is_in_data_root(
            folder, await self.client.data_root(), roots
        )

    def _is_allowed_volume(self, volume: Mapping[str, Any]) -> bool:
        labels = volume.get("Labels") or {}
        is_adopted = volume["Name"] in self.in_use and OWNER not in labels
        return self._is_shared(volume["Name"]) or is_adopted or belongs_to(labels, self.tenant)

    def _is_shared(self, name: str) -> bool:
        return any(fnmatchcase(name, pattern) for pattern in self.settings.policy.volumes)

    def _volume_labels(self, name: str) -> Mapping[str, str]:
        # A shared volume gets no tenant's labels, so no delete removes it.
        if self._is_shared(name):
            return {OWNER: "landlord"}
        return identity_labels(self.settings.label_prefix, self.tenant)


def _host_paths(options: Mapping[str, str]) -> Iterator[str]:
    """Yield the host path or device that a volume's options name, if any."""
    device = options.get("device", "")
    if device.startswith("/"):
        yield device
    elif "bind" in re.split(r"[\s,]+", options.get("o", "")):
        # A relative path starts at a folder that no daemon reveals: it may lead anywhere.
        yield "/"
