"""Clients of ECS, one for each region and role."""

import asyncio
from collections.abc import AsyncIterator, Mapping
from contextlib import AsyncExitStack, asynccontextmanager
from functools import partial
from typing import TYPE_CHECKING

import attrs
from aiobotocore.config import AioConfig
from aiobotocore.credentials import (
    AioAssumeRoleCredentialFetcher,
    AioCredentialResolver,
    AioDeferredRefreshableCredentials,
)
from aiobotocore.session import AioSession, get_session

from landlord_engines_core.compute.ecs.connection import BoundedSession
from landlord_engines_core.compute.ecs.location import Location
from landlord_engines_core.errors import ComputeUnavailable

if TYPE_CHECKING:
    from types_aiobotocore_ecs import ECSClient

__all__ = ["LONGEST_CALL", "Clients"]

MAX_IDLE_CLIENTS = 100
"""Maximum number of unused clients; tenants may name any number of roles."""

_FALLBACK_REGION = "us-east-1"
"""Region for STS if none is configured; credentials are valid in all regions of a partition."""

_SESSION_NAME = "landlord-engines"

_CONNECT_TIMEOUT = 5.0
_READ_TIMEOUT = 30.0

LONGEST_CALL = 2 * (_CONNECT_TIMEOUT + _READ_TIMEOUT)
"""Seconds for one call: two requests, one to STS for a role's credentials and one to ECS.

botocore's timeouts alone are no bound: the read timeout restarts with each piece of an answer.
"""

_CONFIG = AioConfig(
    # The worker engine retries a step with growing pauses. Retries here would multiply with those.
    retries={"mode": "standard", "total_max_attempts": 1},
    connect_timeout=_CONNECT_TIMEOUT,
    read_timeout=_READ_TIMEOUT,
    # With botocore's ten connections, slow calls for one tenant would delay the others.
    max_pool_connections=1000,
    http_session_cls=BoundedSession,
)


@attrs.frozen
class _Access:
    """The parts of a location that a client depends on."""

    region: str
    role: str
    session_name: str


@attrs.frozen(kw_only=True)
class _AssumedRole:
    """A credential provider for botocore's chain, which assumes a role."""

    base: AioSession
    access: _Access
    external_id: str = attrs.field(repr=False)
    endpoint_url: str | None

    METHOD = "assume-role"

    async def load(self) -> AioDeferredRefreshableCredentials:
        """Return credentials that are fetched at first use and renewed before they expire."""
        source = await self.base.get_credentials()
        if source is None:
            raise ComputeUnavailable(
                "the worker has no AWS credentials with which to assume a role",
                hint="give the worker a role, or credentials in a form that the AWS CLI reads",
            )
        create = partial(
            self.base.create_client,
            region_name=self.access.region,
            endpoint_url=self.endpoint_url,
            config=_CONFIG,
        )
        arguments = {
            "RoleSessionName": self.access.session_name or _SESSION_NAME,
            "ExternalId": self.external_id,
        }
        fetcher = AioAssumeRoleCredentialFetcher(
            client_creator=create,  # type: ignore[arg-type]  # the types are those of botocore
            source_credentials=source,
            role_arn=self.access.role,
            extra_args={key: value for key, value in arguments.items() if value},
        )
        return AioDeferredRefreshableCredentials(
            method=self.METHOD, refresh_using=fetcher.fetch_credentials
        )


@attrs.define
class _Client:
    """A client, opened or being opened.

    Attributes:
        opening: The task that opens the client.
        stack: The exit stack that closes the client.
        users: Number of callers that use the client or wait for it.
    """

    opening: "asyncio.Task[ECSClient]"
    stack: AsyncExitStack
    users: int = 0

    async def aclose(self) -> None:
        """Close the client if it was opened."""
        await asyncio.gather(self.opening, return_exceptions=True)
        await self.stack.aclose()


@attrs.define(kw_only=True)
class Clients:
    """A cache of clients by region and role; the least recently used ones are closed first.

    Attributes:
        endpoint_url: A custom AWS endpoint; ``None`` for AWS itself.
        external_ids: The external id of each role to assume, by the role's ARN.
    """

    endpoint_url: str | None
    external_ids: Mapping[str, str] = attrs.field(repr=False)
    _base: AioSession = attrs.field(factory=get_session, init=False, repr=False)
    _clients: dict[_Access, _Client] = attrs.field(factory=dict, init=False, repr=False)
    _closing: set["asyncio.Task[None]"] = attrs.field(factory=set, init=False, repr=False)

    @asynccontextmanager
    async def ecs(self, location: Location) -> "AsyncIterator[ECSClient]":
        """Yield the client for a location, shared by all callers with the same region and role."""
        access = _Access(location.region, location.role, location.session)
        client = self._clients.pop(access, None) or self._open(access)
        # The dictionary's order is the order of last use.
        self._clients[access] = client
        client.users += 1
        try:
            yield await asyncio.shield(client.opening)
        finally:
            client.users -= 1
            self._close_oldest()

    async def identity(self, region: str) -> str:
        """Return the id of the AWS account of the worker's credentials.

        Args:
            region: The region of STS; empty for the region in the worker's AWS configuration.
        """
        client = self._base.create_client(
            "sts",
            region_name=region or self._base.get_config_variable("region") or _FALLBACK_REGION,
            endpoint_url=self.endpoint_url,
            config=_CONFIG,
        )
        async with client as sts:
            account: str = (await sts.get_caller_identity())["Account"]
        return account

    async def aclose(self) -> None:
        """Close all clients."""
        for access in tuple(self._clients):
            self._close(access)
        await asyncio.gather(*self._closing)

    def _open(self, access: _Access) -> _Client:
        stack = AsyncExitStack()
        # In a separate task: a cancelled caller must not cancel the opening for the others.
        opening = asyncio.create_task(self._create_client(access, stack))
        opening.add_done_callback(partial(self._forget_failed, access))
        return _Client(opening, stack)

    async def _create_client(self, access: _Access, stack: AsyncExitStack) -> "ECSClient":
        client = self._session_for(access).create_client(
            "ecs", region_name=access.region, endpoint_url=self.endpoint_url, config=_CONFIG
        )
        return await stack.enter_async_context(client)

    def _close_oldest(self) -> None:
        idle = [access for access, client in self._clients.items() if not client.users]
        for access in idle[: max(0, len(idle) - MAX_IDLE_CLIENTS)]:
            self._close(access)

    def _close(self, access: _Access) -> None:
        client = self._clients.pop(access)
        client.opening.cancel()
        # In the background: the last caller need not wait for it, and may be cancelled.
        task = asyncio.create_task(client.aclose())
        self._closing.add(task)
        task.add_done_callback(self._closing.discard)

    def _session_for(self, access: _Access) -> AioSession:
        if not access.role:
            return self._base
        role = _AssumedRole(
            base=self._base,
            access=access,
            external_id=self.external_ids.get(access.role, ""),
            endpoint_url=self.endpoint_url,
        )
        session = get_session()
        # botocore blocks the event loop while it reads its data files. The base session's loader has
        # cached them.
        session.register_component("data_loader", self._base.get_component("data_loader"))
        chain = AioCredentialResolver([role])  # type: ignore[list-item]  # as above
        session.register_component("credential_provider", chain)
        return session

    def _forget_failed(self, access: _Access, task: "asyncio.Task[ECSClient]") -> None:
        client = self._clients.get(access)
        failed = task.cancelled() or task.exception() is not None
        if failed and client is not None and client.opening is task:
            del self._clients[access]
