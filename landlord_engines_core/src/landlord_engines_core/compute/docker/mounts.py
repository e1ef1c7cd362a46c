"""What a tenant may mount: volumes of its own, and folders that are not the engine's.

An engine gives a volume to whoever knows its name; only its labels tell whose it is. To make one that
is there changes nothing. So of two tenants who name the same new volume, its labels say afterwards
whose it is. It could still be removed and made again before a container holds it: what the container
has got is therefore looked at once more.
"""

import re
from collections.abc import Iterator, Mapping
from fnmatch import fnmatchcase
from typing import Any

import attrs

from landlord_engines_core.compute.docker import names
from landlord_engines_core.compute.docker.client import DockerClient
from landlord_engines_core.compute.docker.config import ContainerConfig, Volume
from landlord_engines_core.compute.docker.found import Container
from landlord_engines_core.compute.docker.policy import is_allowed_bind, is_in_data_root
from landlord_engines_core.compute.docker.settings import DockerSettings
from landlord_engines_core.errors import ComputeRefused

__all__ = ["Mounts"]

_FOREIGN = "is a volume that Landlord did not make for this tenant"
_DATA = "is a folder that holds the engine's own data"


@attrs.frozen(kw_only=True)
class Mounts:
    """What one tenant may mount.

    Attributes:
        tenant: Whose container it is.
        held: The volumes that the tenant's containers have already. Landlord's own worker left
            volumes without labels; its tenants keep theirs.
    """

    client: DockerClient
    settings: DockerSettings
    tenant: str
    held: frozenset[str] = frozenset()

    async def prepare(self, config: ContainerConfig) -> None:
        """Have each volume there that a configuration names, and refuse what the tenant may not have.

        Raises:
            ComputeRefused: With the path of what is refused, and the key that allows it.
        """
        problems = [await self._problem(volume) for volume in config.mounts()]
        told = [
            f"$.volumes[{index}] {problem}" for index, problem in enumerate(problems) if problem
        ]
        if told:
            raise ComputeRefused(
                f"the policy of this worker refuses the configuration: {'; '.join(told)}",
                hint="name another volume; or allow this one: a volume by"
                " compute.docker.policy.volumes, a folder by compute.docker.policy.bind_roots",
            )

    async def wrong(self, container: Container, config: ContainerConfig) -> list[str]:
        """Name what a container has mounted and may not have, by a volume's own options too."""
        shown = container.shown["Mounts"]
        folders = [one["Source"] for one in shown if one["Type"] == "bind"]
        named = {volume.source for volume in config.mounts()}
        wrong = []
        for name in container.volumes:
            volume = await self.client.volume(name)
            folders += _devices(volume.get("Options") or {})
            if name in named and not self._may_have(volume):
                wrong.append("Mounts")
        return wrong + ["Mounts" for one in folders if not await self._may_see(one)]

    async def _problem(self, volume: Volume) -> str:
        """Why a tenant may not mount this; a volume that is missing is made."""
        if volume.is_bind:
            return "" if await self._may_see(volume.source) else _DATA
        await self.client.ensure_volume(volume.source, self._labels(volume.source))
        return "" if self._may_have(await self.client.volume(volume.source)) else _FOREIGN

    async def _may_see(self, folder: str) -> bool:
        roots = self.settings.policy.bind_roots
        return is_allowed_bind(folder, roots, self.settings.host) and not is_in_data_root(
            folder, await self.client.data_root(), roots
        )

    def _may_have(self, volume: Mapping[str, Any]) -> bool:
        labels = volume.get("Labels") or {}
        kept = volume["Name"] in self.held and names.OWNER not in labels
        return self._is_shared(volume["Name"]) or kept or names.belongs_to(labels, self.tenant)

    def _is_shared(self, name: str) -> bool:
        return any(fnmatchcase(name, pattern) for pattern in self.settings.policy.volumes)

    def _labels(self, name: str) -> Mapping[str, str]:
        """Whose a new volume is; what is shared is no tenant's, so that no delete takes it along."""
        if self._is_shared(name):
            return {names.OWNER: "landlord"}
        return names.identity(self.settings.label_prefix, self.tenant)


def _devices(options: Mapping[str, str]) -> Iterator[str]:
    """A folder or a device of the host; a share on another machine names none.

    A relative one begins at a folder that the engine tells nobody, so that it may lead anywhere.
    """
    device = options.get("device", "")
    if device.startswith("/"):
        yield device
    elif "bind" in re.split(r"[\s,]+", options.get("o", "")):
        yield "/"
