"""The calls of ECS that concern one tenant's service.

Each call that changes something is one request that a cancellation lets end. None of them is part of
a switch: ECS itself carries out a rollout, which is one UpdateService, and keeps the former tasks
until the next ones are steady. A CreateService has a client token, so that ECS makes one service of
a request that it gets twice. The other calls have none: each states what is to be, by the service's
name or ARN, and twice is as good as once.
"""

import asyncio
from collections.abc import Awaitable, Callable, Iterator, Mapping
from contextlib import contextmanager
from typing import TYPE_CHECKING, TypeVar

import attrs

from landlord_engines_core.compute.ecs.clients import LONGEST_CALL
from landlord_engines_core.compute.ecs.failures import NotThere, translated
from landlord_engines_core.compute.in_flight import observing, send
from landlord_engines_core.errors import ComputeRefused, ComputeUnavailable

if TYPE_CHECKING:
    from types_aiobotocore_ecs import ECSClient
    from types_aiobotocore_ecs.type_defs import (
        CreateServiceRequestTypeDef,
        ServiceTypeDef,
        TagTypeDef,
        UpdateServiceRequestTypeDef,
    )

__all__ = ["Target", "gone"]

T = TypeVar("T")


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
        observing()
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
        answer = await _change(lambda: self.client.create_service(**request))
        service = answer["service"]
        if service.get("status") != "ACTIVE":
            raise ComputeUnavailable("ECS answers with a service that is going, not a new one")
        return service

    async def update(self, request: "UpdateServiceRequestTypeDef") -> None:
        """Change what the request names and leave the rest."""
        with _still_there():
            await _change(lambda: self.client.update_service(**request))

    async def delete(self) -> bool:
        """Delete the service and stop its tasks.

        Returns:
            Whether there was one.
        """
        try:
            await _change(
                lambda: self.client.delete_service(
                    cluster=self.cluster, service=self.name, force=True
                )
            )
        except NotThere:
            return False
        return True

    async def tag(self, arn: str, tags: Mapping[str, str]) -> None:
        """Put tags on the service, over those of the same keys."""
        pairs: list[TagTypeDef] = [{"key": key, "value": tags[key]} for key in sorted(tags)]
        with _still_there():
            await _change(lambda: self.client.tag_resource(resourceArn=arn, tags=pairs))

    async def untag(self, arn: str, keys: list[str]) -> None:
        """Take tags off the service."""
        with _still_there():
            await _change(lambda: self.client.untag_resource(resourceArn=arn, tagKeys=keys))


async def _change(call: Callable[[], Awaitable[T]]) -> T:
    """Make one call that changes something; the only way for those."""

    async def request() -> T:
        with translated():
            async with asyncio.timeout(LONGEST_CALL):
                return await call()

    return await send(request)


@contextmanager
def _still_there() -> Iterator[None]:
    try:
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
