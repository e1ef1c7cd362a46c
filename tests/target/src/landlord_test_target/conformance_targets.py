"""Views of the targets of our compute engines, which use no engine: the kit's live rules need them."""

import hashlib
import json
import os
import shutil
import signal
from collections.abc import Collection, Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any
from uuid import uuid4

import attrs
import psutil

from landlord_engines_core.compute.process.runner import MARK
from landlord_engines_core.conformance.compute.checks import CANARY
from landlord_test_target.aws import ROLE, Aws
from landlord_test_target.commands import answering_server
from landlord_test_target.docker import SETTINGS, WEB, TenantContainers, docker
from landlord_test_target.waiting import wait_for

__all__ = ["DockerTarget", "EcsTarget", "FolderTarget", "ProcessTarget"]


def _digest(tenant: str) -> str:
    return hashlib.sha256(tenant.encode(errors="surrogatepass")).hexdigest()


@attrs.frozen(kw_only=True)
class FolderTarget:
    """A folder with a file for each tenant."""

    folder: Path
    cuts: int = 10
    drifts: tuple[str, ...] = ("removed", "changed", "emptied")

    @property
    def settings(self) -> Mapping[str, Any]:
        return {"path": str(self.folder)}

    def config(self, version: int) -> dict[str, Any]:
        return {"text": str(version)}

    def secret_config(self, secret: str) -> dict[str, Any]:
        return {"text": secret}

    async def look(self, tenant: str) -> Collection[object]:
        return list(self.folder.glob(f"{_digest(tenant)}*"))

    async def disturb(self, tenant: str, drift: str) -> None:
        file = self.folder / _digest(tenant)
        if drift == "removed":
            file.unlink()
        elif drift == "emptied":
            file.write_text("")
        else:
            file.write_text(json.dumps({**json.loads(file.read_text()), "text": "3"}))


@attrs.frozen(kw_only=True)
class ProcessTarget:
    """The processes of this machine, and a folder with a folder for each tenant."""

    folder: Path
    cuts: int = 10
    drifts: tuple[str, ...] = ("command killed", "runner killed", "folder removed")

    @property
    def settings(self) -> Mapping[str, Any]:
        return {"folder": str(self.folder)}

    def config(self, version: int) -> dict[str, Any]:
        return answering_server("", status={1: 200, 2: 204}[version])

    def secret_config(self, secret: str) -> dict[str, Any]:
        env = {"STATUS": "200", "KEY": secret}
        return {**self.config(1), "env": env}

    async def look(self, tenant: str) -> Collection[psutil.Process | Path]:
        """List the tenant's commands; without one, its folder and its claims of ports."""
        folder = self.folder / _digest(tenant)
        claims = [
            path for path in self.folder.glob("ports/*") if path.readlink().name == folder.name
        ]
        return self.commands(tenant) or [*claims, *(path for path in (folder,) if path.exists())]

    async def disturb(self, tenant: str, drift: str) -> None:
        (command,) = self.commands(tenant)
        runner = command.parent()
        assert runner is not None
        if drift == "command killed":
            os.kill(command.pid, signal.SIGKILL)
        elif drift == "runner killed":
            os.kill(runner.pid, signal.SIGKILL)
        else:
            shutil.rmtree(self.folder / _digest(tenant))

        async def runner_is_gone() -> bool:
            return not runner.is_running() or runner.status() == psutil.STATUS_ZOMBIE

        await wait_for(runner_is_gone)

    def commands(self, tenant: str) -> list[psutil.Process]:
        """List the processes of the tenant's command."""
        folder = str(self.folder / _digest(tenant))
        return [process for process, mark in self._marked() if mark == folder]

    def kill_all(self) -> None:
        """Kill what a failed test has left."""
        for process, mark in self._marked():
            if mark.startswith(str(self.folder)):
                with suppress(psutil.Error):
                    process.kill()

    @staticmethod
    def _marked() -> list[tuple[psutil.Process, str]]:
        marked = []
        for process in psutil.process_iter():
            with suppress(psutil.Error):
                marked.append((process, process.environ().get(MARK, "")))
        return marked


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


@attrs.frozen(kw_only=True)
class EcsTarget:
    """The services in a cluster of AWS, as moto simulates it."""

    aws: Aws
    cluster: str
    definitions: Mapping[int, str]
    cuts: int = 10
    drifts: tuple[str, ...] = ("deleted", "redefined", "scaled", "untagged")

    @classmethod
    def create(cls, aws: Aws) -> "EcsTarget":
        """Create a cluster with two task definitions."""
        definitions = {version: aws.task_definition() for version in (1, 2)}
        return cls(aws=aws, cluster=aws.cluster(), definitions=definitions)

    @property
    def settings(self) -> Mapping[str, Any]:
        # The operator has to know the external id of a role, too.
        return {"endpoint_url": self.aws.endpoint, "external_ids": {ROLE: CANARY}}

    def config(self, version: int) -> dict[str, Any]:
        return {
            "cluster_arn": self.cluster,
            "task_definition_arn": self.definitions[version],
            "service_name_prefix": "landlord-tenant-",
            "desired_count": 1,
            # This tag depends on the version, so that an update has a tag to remove.
            "tags": {f"version-{version}": "yes"},
        }

    def secret_config(self, secret: str) -> dict[str, Any]:
        role = {"role_arn": ROLE, "external_id": secret}
        return {**self.config(1), "assume_role": role, "more": secret}

    async def look(self, tenant: str) -> Collection[Any]:
        return self.services(tenant)

    async def disturb(self, tenant: str, drift: str) -> None:
        (service,) = self.services(tenant)
        if drift == "deleted":
            service.status = "INACTIVE"
        elif drift == "redefined":
            service.task_definition = self.definitions[2]
        elif drift == "scaled":
            service.desired_count = service.running_count = 3
        else:
            service.tags[:] = [tag for tag in service.tags if tag["key"] != "landlord.config_hash"]

    def services(self, tenant: str) -> list[Any]:
        """List the tenant's services."""
        ids = (tenant, f"sha256:{_digest(tenant)}")
        return [
            service
            for service in self.aws.services(self.cluster).values()
            if service.status == "ACTIVE"
            and self.aws.tags(service).get("landlord.tenant_id") in ids
        ]
