"""Calls to ECS about one tenant's service.

A cancellation waits for a call that changes something. No call needs `in_flight.switch`: during a rollout
ECS keeps the previous tasks until the new ones are steady.

CreateService has a client token, so ECS creates one service if the request reaches it twice. The other
calls name the service and the desired result, so they are idempotent.
"""

import asyncio
from collections.abc import Awaitable, Callable, Iterator, Mapping
from contextlib import contextmanager
from typing import TYPE_CHECKING, TypeVar

import attrs

from landlord_engines_core.compute.ecs.errors import NotFound, translate_errors
from landlord_engines_core.compute.ecs.sessions import LONGEST_CALL
from landlord_engines_core.compute.factory import TimeRequest, pass_untimed
from landlord_engines_core.compute.in_flight import begin_observation, send
from landlord_engines_core.errors import ComputeRefused, ComputeUnavailable

if TYPE_CHECKING:
    from types_aiobotocore_ecs import ECSClient
    from types_aiobotocore_ecs.type_defs import (
        CreateServiceRequestTypeDef,
        ServiceTypeDef,
        TagTypeDef,
        UpdateServiceRequestTypeDef,
    )

__all__ = ["ServiceClient", "is_absent"]

T = TypeVar("T")


def is_absent(service: "ServiceTypeDef | None") -> bool:
    """Return whether there is no service; ECS describes a deleted one as inactive for a while."""
    return service is None or service.get("status") == "INACTIVE"


@attrs.frozen(kw_only=True)
class ServiceClient:
    """Calls about one service, which need not exist.

    All methods raise `ComputeRefused` and `ComputeUnavailable`.

    Attributes:
        ecs: The client of ECS.
        cluster: The cluster's ARN or name.
        name: The service's name.
        time_request: Times one call.
    """

    ecs: "ECSClient"
    cluster: str
    name: str
    time_request: TimeRequest = pass_untimed

    async def describe(self) -> "ServiceTypeDef | None":
        """Return the service with its tags, or a deleted one while ECS still describes it."""
        begin_observation()
        try:
            with translate_errors(), self.time_request("describe the service"):
                answer = await self.ecs.describe_services(
                    cluster=self.cluster, services=[self.name], include=["TAGS"]
                )
        except NotFound:
            # The cluster is missing. ECS deletes a cluster only once it has no services.
            return None
        for service in answer.get("services", []):
            if {"serviceArn", "serviceName", "clusterArn", "status"} <= service.keys():
                return service
        for failure in answer.get("failures", []):
            if failure.get("reason") == "MISSING":
                return None
            raise _to_error(str(failure.get("reason")))
        raise ComputeUnavailable("ECS answered without the service and without a reason")

    async def create(self, request: "CreateServiceRequestTypeDef") -> "ServiceTypeDef":
        """Create the service."""
        answer = await self._send("create the service", lambda: self.ecs.create_service(**request))
        service = answer["service"]
        if service.get("status") != "ACTIVE":
            # The client token was used before, for a service that was deleted since.
            raise ComputeUnavailable("ECS answered with a service that is being deleted")
        return service

    async def update(self, request: "UpdateServiceRequestTypeDef") -> None:
        """Change the fields in the request and leave the others."""
        with _require_service():
            await self._send("update the service", lambda: self.ecs.update_service(**request))

    async def delete(self) -> bool:
        """Delete the service and stop its tasks.

        Returns:
            Whether there was one.
        """
        try:
            await self._send(
                "delete the service",
                lambda: self.ecs.delete_service(
                    cluster=self.cluster, service=self.name, force=True
                ),
            )
        except NotFound:
            return False
        return True

    async def tag(self, arn: str, tags: Mapping[str, str]) -> None:
        """Set tags on the service, replacing those of the same keys."""
        pairs: list[TagTypeDef] = [{"key": key, "value": tags[key]} for key in sorted(tags)]
        with _require_service():
            await self._send(
                "tag the service", lambda: self.ecs.tag_resource(resourceArn=arn, tags=pairs)
            )

    async def untag(self, arn: str, keys: list[str]) -> None:
        """Remove tags from the service."""
        with _require_service():
            await self._send(
                "untag the service", lambda: self.ecs.untag_resource(resourceArn=arn, tagKeys=keys)
            )

    async def _send(self, name: str, call: Callable[[], Awaitable[T]]) -> T:
        """Make a call that changes something; every such call uses this method."""

        async def request() -> T:
            with translate_errors(), self.time_request(name):
                async with asyncio.timeout(LONGEST_CALL):
                    return await call()

        return await send(request)


@contextmanager
def _require_service() -> Iterator[None]:
    try:
        yield
    except NotFound as error:
        raise ComputeUnavailable("the service was deleted meanwhile") from error


def _to_error(reason: str) -> ComputeRefused | ComputeUnavailable:
    """Return the error for a failure that DescribeServices reports."""
    if "ACCESS" in reason.upper() or "DENIED" in reason.upper():
        return ComputeRefused(
            f"AWS refuses ecs:DescribeServices: {reason}",
            hint="allow ecs:DescribeServices to the role that the worker uses for this tenant",
        )
    return ComputeUnavailable(f"ECS cannot describe the service: {reason}")
