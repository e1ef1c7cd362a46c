"""The contract of compute engines, on moto's server."""

from collections.abc import AsyncIterator, Callable, Mapping
from typing import Any, ClassVar

import attrs
import pytest

from landlord_engines_core.compute import ComputeEngine
from landlord_test_target.aws import ROLE, Aws
from landlord_test_target.compute_contract import ComputeContract, Subject
from landlord_test_target.compute_engines import ecs_engine
from landlord_test_target.compute_targets.ecs import EcsTarget

pytestmark = pytest.mark.unmeasured


class EcsSubject(Subject):
    points: ClassVar[Mapping[str, tuple[str, ...]]] = {
        "create": ("create:sent", "tags:written"),
        "update": ("update:sent", "update:steady", "tags:removed", "tags:written"),
        "delete": ("destroy:sent",),
    }

    def __init__(self, aws: Aws) -> None:
        self._target = EcsTarget.create(aws)
        self.first = ecs_engine(self.target.settings)

    @property
    def target(self) -> EcsTarget:
        return self._target

    def engine(self, reached: Callable[[str], None] | None = None) -> ComputeEngine:
        # The engines share their clients, which open slowly and hold no state of tenants.
        return self.first if reached is None else attrs.evolve(self.first, reached=reached)

    def with_refused_secret(self, secret: str) -> dict[str, Any] | None:
        return {"assume_role": {"role_arn": f"{ROLE}-2", "external_id": secret}}

    def with_text(self, value: str) -> dict[str, Any]:
        return {"tags": {"note": value}}

    async def read_text(self, tenant: str) -> str:
        (service,) = self.target.services(tenant)
        return self.target.aws.tags(service)["note"]

    async def versions(self, tenant: str) -> list[int]:
        version = {arn: number for number, arn in self.target.definitions.items()}
        return [version[service.task_definition] for service in self.target.services(tenant)]

    async def list_public_texts(self, tenant: str) -> str:
        (service,) = self.target.services(tenant)
        return repr((service.name, service.tags))


class TestEcs(ComputeContract):
    @pytest.fixture
    async def subject(self, server: Aws) -> AsyncIterator[Subject]:
        subject = EcsSubject(server)
        yield subject
        await subject.first.aclose()
