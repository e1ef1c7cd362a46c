"""The contract of compute engines, on a real Docker daemon."""

from collections.abc import Callable, Iterator, Mapping
from typing import Any, ClassVar
from uuid import uuid4

import pytest

from landlord_engines_core.compute import ComputeEngine
from landlord_test_target.compute_contract import ComputeContract, Subject
from landlord_test_target.docker import WEB, TenantContainers, docker


class DockerSubject(Subject):
    points: ClassVar[Mapping[str, tuple[str, ...]]] = {
        "create": ("create:created", "create:started"),
        "update": (
            "update:created",
            "update:stopped",
            "update:started",
            "update:healthy",
            "update:removed",
            "update:renamed",
        ),
        "delete": ("delete:stopped", "delete:removed"),
    }
    drifts: ClassVar[tuple[str, ...]] = (
        "stopped",
        "killed",
        "removed",
        "paused",
        "renamed",
        "limited",
        "disconnected",
    )

    def __init__(self, make: Callable[..., ComputeEngine]) -> None:
        self.make = make
        self.tenants: list[str] = []

    def engine(self, reached: Callable[[str], None] | None = None) -> ComputeEngine:
        return self.make(reached) if reached is not None else self.make()

    def config(self, version: int) -> dict[str, Any]:
        return {"image": f"{WEB}:{version}", "ports": [{"container_port": 8080}]}

    def with_secret(self, secret: str) -> dict[str, Any]:
        return {
            "env": {"KEY": secret},
            "command": ["sh", "-c", "exec sleep 1000", secret],
            "more": secret,
        }

    def with_refused_secret(self, secret: str) -> dict[str, Any] | None:
        return {"command": [secret], "volumes": [f"/{secret}:/data"], "user": f"{secret} "}

    def with_text(self, value: str) -> dict[str, Any]:
        return {"env": {"KEY": value}}

    async def read_text(self, tenant: str) -> str:
        (key,) = (
            variable
            for variable in TenantContainers(tenant).only_container["Config"]["Env"]
            if variable[:4] == "KEY="
        )
        return str(key.removeprefix("KEY="))

    async def versions(self, tenant: str) -> list[int]:
        return TenantContainers(tenant).versions

    async def list_public_texts(self, tenant: str) -> str:
        container = TenantContainers(tenant).only_container
        return repr((container["Name"], container["Config"]["Labels"]))

    async def disturb(self, tenant: str, drift: str) -> None:
        container = TenantContainers(tenant).only_container["Id"]
        commands = {
            "stopped": ("stop", "-t", "0"),
            "killed": ("kill",),
            "removed": ("rm", "-f"),
            "paused": ("pause",),
            "renamed": ("rename",),
            "limited": ("update", "--memory=64m", "--memory-swap=64m"),
            "disconnected": ("network", "disconnect", "bridge"),
        }
        name = (f"renamed-{uuid4()}",) if drift == "renamed" else ()
        docker(*commands[drift], container, *name)

    def tenant(self, like: str = "") -> str:
        self.tenants.append(super().tenant(like))
        return self.tenants[-1]


class TestDocker(ComputeContract):
    @pytest.fixture
    def subject(self, make_engine: Callable[..., ComputeEngine]) -> Iterator[Subject]:
        subject = DockerSubject(make_engine)
        yield subject
        for tenant in subject.tenants:
            TenantContainers(tenant).remove_all()
