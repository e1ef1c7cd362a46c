from collections.abc import Callable
from typing import Any, ClassVar

import pytest

from landlord_engines_core.compute import ComputeEngine, ComputeSpec
from landlord_engines_core.compute.mock import MockCompute
from landlord_test_target.compute_contract import ComputeContract, Subject


class MockSubject(Subject):
    drifts: ClassVar[tuple[str, ...]] = ("removed",)

    def __init__(self) -> None:
        self.resources: dict[str, ComputeSpec] = {}

    def engine(self, reached: Callable[[str], None] | None = None) -> ComputeEngine:
        return MockCompute({}, self.resources)

    def config(self, version: int) -> dict[str, Any]:
        return {"version": version}

    def with_secret(self, secret: str) -> dict[str, Any]:
        return {"env": {"KEY": secret}}

    def with_refused_secret(self, secret: str) -> dict[str, Any] | None:
        return None

    def with_text(self, value: str) -> dict[str, Any]:
        return {"env": {"KEY": value}}

    async def read_text(self, tenant: str) -> str:
        env: Any = self.resources[tenant].config["env"]
        return str(env["KEY"])

    async def versions(self, tenant: str) -> list[int]:
        resources = [self.resources[tenant]] if tenant in self.resources else []
        return [int(str(resource.config["version"])) for resource in resources]

    async def list_public_texts(self, tenant: str) -> str:
        return repr(self.resources[tenant])

    async def disturb(self, tenant: str, drift: str) -> None:
        assert drift == "removed"
        del self.resources[tenant]


class TestMock(ComputeContract):
    @pytest.fixture
    def subject(self) -> Subject:
        return MockSubject()


async def test_a_resource_without_a_hash_differs_unless_the_engine_decides_otherwise() -> None:
    assert not await MockCompute().matches(
        ComputeSpec(tenant="t", name="t", location="", config={}, config_hash="")
    )
