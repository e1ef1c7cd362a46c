"""The target of the engine `docker`: a real daemon."""

from collections.abc import Collection, Mapping
from typing import Any
from uuid import uuid4

import attrs

from landlord_test_target.docker import SETTINGS, WEB, TenantContainers, docker

__all__ = ["DockerTarget"]


@attrs.frozen(kw_only=True)
class DockerTarget:
    """The containers of a real daemon.

    Attributes:
        label: The value of a label of all containers, for the end of a test.
    """

    label: str
    cuts: int = 10
    drifts: tuple[str, ...] = (
        "stopped",
        "killed",
        "removed",
        "paused",
        "renamed",
        "limited",
        "disconnected",
    )

    @property
    def settings(self) -> Mapping[str, Any]:
        return SETTINGS

    def config(self, version: int) -> dict[str, Any]:
        return {
            "image": f"{WEB}:{version}",
            "ports": [{"container_port": 8080}],
            "labels": {"landlord-test.run": self.label},
        }

    def secret_config(self, secret: str) -> dict[str, Any]:
        return {
            **self.config(1),
            "env": {"KEY": secret},
            "command": ["sh", "-c", "exec sleep 1000", secret],
            "more": secret,
        }

    async def look(self, tenant: str) -> Collection[str]:
        return TenantContainers(tenant).ids

    async def disturb(self, tenant: str, drift: str) -> None:
        container = TenantContainers(tenant).only_container["Id"]
        commands = {
            "stopped": ("stop", "-t", "0", container),
            "killed": ("kill", container),
            "removed": ("rm", "-f", container),
            "paused": ("pause", container),
            "renamed": ("rename", container, f"renamed-{uuid4()}"),
            "limited": ("update", "--memory=64m", "--memory-swap=64m", container),
            "disconnected": ("network", "disconnect", "bridge", container),
        }
        docker(*commands[drift])

    def remove_all(self) -> None:
        """Remove what a failed test has left."""
        label = f"label=landlord-test.run={self.label}"
        for container in docker("ps", "-aq", "--no-trunc", "--filter", label).splitlines():
            docker("rm", "-f", "-v", container)
