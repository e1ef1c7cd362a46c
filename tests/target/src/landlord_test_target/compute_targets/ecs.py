"""The target of the engine `ecs`: moto's server."""

from collections.abc import Collection, Mapping
from typing import Any

import attrs

from landlord_engines_core.compute.contract import digest_of
from landlord_engines_core.conformance.compute.checks import CANARY
from landlord_test_target.aws import ROLE, Aws

__all__ = ["EcsTarget"]


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
        ids = (tenant, f"sha256:{digest_of(tenant)}")
        return [
            service
            for service in self.aws.services(self.cluster).values()
            if service.status == "ACTIVE"
            and self.aws.tags(service).get("landlord.tenant_id") in ids
        ]
