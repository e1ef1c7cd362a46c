"""The calls of ECS that concern one tenant's service."""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import TYPE_CHECKING

import attrs

from landlord_engines_core.compute.ecs.failures import NotThere, translated
from landlord_engines_core.errors import ComputeRefused, ComputeUnavailable

if TYPE_CHECKING:
    from types_aiobotocore_ecs import ECSClient
    from types_aiobotocore_ecs.type_defs import (
        CreateServiceRequestTypeDef,
        ServiceTypeDef,
        UpdateServiceRequestTypeDef,
    )

__all__ = ["Target", "gone"]


def gone(service: "ServiceTypeDef | None") -> bool:
    """Whether there is no service: ECS goes on to describe one that was deleted, as inactive."""
    return service is None or service.get("status") == "INACTIVE"


@attrs.frozen(kw_only=True)
class Target:
    """A service's name in a cluster, whether there is such a service or not.

    All methods raise `ComputeRefused` and `ComputeUnavailable`.
    """

    client: "ECSClient"
    cluster: str
    name: str

    async def describe(self) -> "ServiceTypeDef | None":
        """The service with its tags, a deleted one too for as long as ECS knows of it."""
        try:
            with translated():
                answer = await self.client.describe_services(
                    cluster=self.cluster, services=[self.name], include=["TAGS"]
                )
        except NotThere:
            # A cluster can only be deleted once it has no services.
            return None
        for service in answer.get("services", []):
            if {"serviceArn", "serviceName", "clusterArn", "status"} <= service.keys():
                return service
        for failed in answer.get("failures", []):
            if failed.get("reason") == "MISSING":
                return None
            raise _failed(str(failed.get("reason")))
        raise ComputeUnavailable("ECS names neither the service nor why it does not")

    async def create(self, request: "CreateServiceRequestTypeDef") -> "ServiceTypeDef":
        """Make the service."""
        with translated():
            answer = await self.client.create_service(**request)
        service = answer["service"]
        if service.get("status") != "ACTIVE":
            raise ComputeUnavailable("ECS answers with a service that is going, not a new one")
        return service

    async def update(self, request: "UpdateServiceRequestTypeDef") -> None:
        """Change what the request names and leave the rest."""
        with _still_there():
            await self.client.update_service(**request)

    async def delete(self) -> bool:
        """Delete the service and stop its tasks.

        Returns:
            Whether there was one.
        """
        try:
            with translated():
                await self.client.delete_service(
                    cluster=self.cluster, service=self.name, force=True
                )
        except NotThere:
            return False
        return True

    async def tag(self, arn: str, tags: Mapping[str, str]) -> None:
        """Put tags on the service, over those of the same keys."""
        with _still_there():
            await self.client.tag_resource(
                resourceArn=arn, tags=[{"key": key, "value": tags[key]} for key in sorted(tags)]
            )

    async def untag(self, arn: str, keys: list[str]) -> None:
        """Take tags off the service."""
        with _still_there():
            await self.client.untag_resource(resourceArn=arn, tagKeys=keys)


@contextmanager
def _still_there() -> Iterator[None]:
    try:
        with translated():
            yield
    except NotThere as error:
        raise ComputeUnavailable("the service went away meanwhile") from error


def _failed(reason: str) -> ComputeRefused | ComputeUnavailable:
    if "ACCESS" in reason.upper() or "DENIED" in reason.upper():
        return ComputeRefused(
            f"AWS refuses ecs:DescribeServices: {reason}",
            hint="allow ecs:DescribeServices to the role that the worker uses for this tenant",
        )
    return ComputeUnavailable(f"ECS cannot describe the service: {reason}")
