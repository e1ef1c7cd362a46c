"""The contract of compute engines, on a real Docker daemon."""

from collections.abc import Callable, Iterator, Mapping
from typing import Any, ClassVar
from uuid import uuid4

import pytest

from landlord_engines_core.compute import ComputeEngine
from landlord_test_target.compute_contract import ComputeContract, Subject
from landlord_test_target.compute_targets.docker import DockerTarget
from landlord_test_target.docker import TenantContainers


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

    def __init__(self, make: Callable[..., ComputeEngine]) -> None:
        self.make = make
        self._target = DockerTarget(label=uuid4().hex)

    @property
    def target(self) -> DockerTarget:
        return self._target

    def engine(self, reached: Callable[[str], None] | None = None) -> ComputeEngine:
        return self.make(reached) if reached is not None else self.make()

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


class TestDocker(ComputeContract):
    @pytest.fixture
    def subject(self, make_engine: Callable[..., ComputeEngine]) -> Iterator[Subject]:
        subject = DockerSubject(make_engine)
        yield subject
        subject.target.remove_all()
