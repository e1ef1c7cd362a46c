from collections.abc import Callable, Mapping
from typing import Any

import attrs
import pytest

from landlord_engines_core.compute import ComputeEngine, ComputeSpec
from landlord_engines_core.compute.mock import MockCompute
from landlord_test_target.compute_contract import ComputeContract, Subject


@attrs.frozen(kw_only=True)
class MemoryTarget:
    """The resources of all engines of one test, in memory."""

    resources: dict[str, ComputeSpec] = attrs.field(factory=dict)
    cuts: int = 0
    drifts: tuple[str, ...] = ("removed",)

    @property
    def settings(self) -> Mapping[str, Any]:
        return {}

    def config(self, version: int) -> dict[str, Any]:
        return {"revision": version}

    def secret_config(self, secret: str) -> dict[str, Any]:
        return {**self.config(1), "env": {"KEY": secret}}

    async def look(self, tenant: str) -> list[ComputeSpec]:
        return [self.resources[tenant]] if tenant in self.resources else []

    async def disturb(self, tenant: str, drift: str) -> None:
        assert drift == "removed"
        del self.resources[tenant]


class MockSubject(Subject):
    def __init__(self) -> None:
        self._target = MemoryTarget()

    @property
    def target(self) -> MemoryTarget:
        return self._target

    def engine(self, reached: Callable[[str], None] | None = None) -> ComputeEngine:
        return MockCompute({}, self.target.resources)

    def with_refused_secret(self, secret: str) -> dict[str, Any] | None:
        return None

    def with_text(self, value: str) -> dict[str, Any]:
        return {"env": {"KEY": value}}

    async def read_text(self, tenant: str) -> str:
        env: Any = self.target.resources[tenant].config["env"]
        return str(env["KEY"])

    async def versions(self, tenant: str) -> list[int]:
        return [int(str(spec.config["revision"])) for spec in await self.target.look(tenant)]

    async def list_public_texts(self, tenant: str) -> str:
        return repr(self.target.resources[tenant])


class TestMock(ComputeContract):
    @pytest.fixture
    def subject(self) -> Subject:
        return MockSubject()


async def test_a_resource_without_a_hash_differs_unless_the_engine_decides_otherwise() -> None:
    assert not await MockCompute().matches(
        ComputeSpec(tenant="t", name="t", location="", config={}, config_hash="")
    )
