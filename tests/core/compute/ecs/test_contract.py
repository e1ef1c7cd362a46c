"""What every compute engine keeps, kept by this one on moto's server."""

from collections.abc import AsyncIterator, Callable, Mapping
from typing import Any, ClassVar

import attrs
import pytest

from landlord_engines_core.compute import ComputeEngine
from landlord_engines_core.compute.ecs.engine import EcsCompute, from_settings
from landlord_engines_core.compute.ecs.place import Place
from landlord_engines_core.compute.points import pass_by
from landlord_test_target.aws import Aws
from landlord_test_target.compute_contract import ComputeContract, Subject


class EcsSubject(Subject):
    points: ClassVar[Mapping[str, tuple[str, ...]]] = {
        "create": ("create:sent", "tags:written"),
        "update": ("update:sent", "update:steady", "tags:written"),
        "delete": ("destroy:sent",),
    }
    drifts: ClassVar[tuple[str, ...]] = ("deleted",)

    def __init__(self, aws: Aws) -> None:
        self.aws = aws
        self.made: list[EcsCompute] = []
        self.cluster = aws.cluster()
        self.definitions = [aws.task_definition(), aws.task_definition()]

    def engine(self, reached: Callable[[str], None] | None = None) -> ComputeEngine:
        engine = from_settings({"endpoint_url": self.aws.endpoint})
        self.made.append(attrs.evolve(engine, reached=reached or pass_by))
        return self.made[-1]

    def config(self, version: int) -> dict[str, Any]:
        return {
            "cluster_arn": self.cluster,
            "task_definition_arn": self.definitions[version - 1],
            "service_name_prefix": "t-",
        }

    def with_secret(self, secret: str) -> dict[str, Any]:
        return {"more": secret}

    def refused(self, secret: str) -> dict[str, Any] | None:
        return {"tags": secret}

    async def versions(self, tenant: str) -> list[int]:
        services = self.aws.services(self.cluster)
        return [
            self.definitions.index(service.task_definition) + 1
            for name, service in services.items()
            if name == self._name(tenant) and service.status == "ACTIVE"
        ]

    async def shown(self, tenant: str) -> str:
        service = self.aws.services(self.cluster)[self._name(tenant)]
        return repr((service.name, service.tags))

    async def disturb(self, tenant: str, drift: str) -> None:
        self.aws.services(self.cluster)[self._name(tenant)].status = "INACTIVE"

    def _name(self, tenant: str) -> str:
        return Place(region="", cluster="", service="t-*").service_name(tenant)


class TestEcs(ComputeContract):
    @pytest.fixture
    async def subject(self, server: Aws) -> AsyncIterator[Subject]:
        subject = EcsSubject(server)
        yield subject
        for engine in subject.made:
            await engine.aclose()
