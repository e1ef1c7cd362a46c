"""The contract of compute engines, on moto's server."""

from collections.abc import AsyncIterator, Callable, Mapping
from hashlib import sha256
from typing import Any, ClassVar

import attrs
import pytest

from landlord_engines_core.compute import ComputeEngine
from landlord_test_target.aws import ROLE, Aws
from landlord_test_target.compute_contract import SECRET, ComputeContract, Subject
from landlord_test_target.compute_engines import ecs_engine

pytestmark = pytest.mark.unmeasured


class EcsSubject(Subject):
    points: ClassVar[Mapping[str, tuple[str, ...]]] = {
        "create": ("create:sent", "tags:written"),
        "update": ("update:sent", "update:steady", "tags:removed", "tags:written"),
        "delete": ("destroy:sent",),
    }
    drifts: ClassVar[tuple[str, ...]] = ("deleted", "redefined", "scaled", "untagged")

    def __init__(self, aws: Aws) -> None:
        self.aws = aws
        self.cluster = aws.cluster()
        self.definitions = {version: aws.task_definition() for version in (1, 2)}
        settings = {"endpoint_url": aws.endpoint, "external_ids": {ROLE: SECRET}}
        self.first = ecs_engine(settings)

    def engine(self, reached: Callable[[str], None] | None = None) -> ComputeEngine:
        # The engines share their clients, which open slowly and hold no state of tenants.
        return self.first if reached is None else attrs.evolve(self.first, reached=reached)

    def config(self, version: int) -> dict[str, Any]:
        return {
            "cluster_arn": self.cluster,
            "task_definition_arn": self.definitions[version],
            "service_name_prefix": "landlord-tenant-",
            "desired_count": 1,
            # This tag depends on the version, so that an update has a tag to remove.
            "tags": {f"version-{version}": "yes"},
        }

    def with_secret(self, secret: str) -> dict[str, Any]:
        return {"assume_role": {"role_arn": ROLE, "external_id": secret}, "more": secret}

    def with_refused_secret(self, secret: str) -> dict[str, Any] | None:
        return {"assume_role": {"role_arn": f"{ROLE}-2", "external_id": secret}}

    def with_text(self, value: str) -> dict[str, Any]:
        return {"tags": {"note": value}}

    async def read_text(self, tenant: str) -> str:
        (service,) = self._services(tenant)
        return self.aws.tags(service)["note"]

    async def versions(self, tenant: str) -> list[int]:
        version = {arn: number for number, arn in self.definitions.items()}
        return [version[service.task_definition] for service in self._services(tenant)]

    async def list_public_texts(self, tenant: str) -> str:
        (service,) = self._services(tenant)
        return repr((service.name, service.tags))

    async def disturb(self, tenant: str, drift: str) -> None:
        (service,) = self._services(tenant)
        if drift == "deleted":
            service.status = "INACTIVE"
        elif drift == "redefined":
            service.task_definition = self.definitions[2]
        elif drift == "scaled":
            service.desired_count = service.running_count = 3
        else:
            service.tags[:] = [tag for tag in service.tags if tag["key"] != "landlord.config_hash"]

    def _services(self, tenant: str) -> list[Any]:
        digest = sha256(tenant.encode("utf-8", "surrogatepass")).hexdigest()
        ids = (tenant, f"sha256:{digest}")
        return [
            service
            for service in self.aws.services(self.cluster).values()
            if service.status == "ACTIVE"
            and self.aws.tags(service).get("landlord.tenant_id") in ids
        ]


class TestEcs(ComputeContract):
    @pytest.fixture
    async def subject(self, server: Aws) -> AsyncIterator[Subject]:
        subject = EcsSubject(server)
        yield subject
        await subject.first.aclose()
