"""Clients of ECS, one for each region and role; the only door to aiobotocore."""

import asyncio
from collections.abc import Mapping
from contextlib import AsyncExitStack
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

from landlord_engines_core.compute.ecs.place import Place
from landlord_engines_core.errors import ComputeUnavailable

if TYPE_CHECKING:
    from types_aiobotocore_ecs import ECSClient

__all__ = ["Clients"]

_SESSION_NAME = "landlord-engines"

_CONFIG = AioConfig(
    # Whoever runs a step tries it again, with growing pauses; twice over they would multiply.
    retries={"mode": "standard", "total_max_attempts": 1},
    connect_timeout=5,
    read_timeout=30,
    # No tenant waits for a connection that another one holds.
    max_pool_connections=1000,
)


@attrs.frozen
class _Access:
    region: str
    role: str
    session: str


@attrs.frozen(kw_only=True)
class _AssumedRole:
    """A source of credentials, in the form that botocore's chain of them has."""

    base: AioSession
    access: _Access
    external_id: str = attrs.field(repr=False)
    endpoint_url: str | None

    METHOD = "assume-role"

    async def load(self) -> AioDeferredRefreshableCredentials:
        """Credentials that are fetched at their first use, and again before they end."""
        source = await self.base.get_credentials()
        if source is None:
            raise ComputeUnavailable(
                "the worker has no AWS credentials with which to assume a role",
                hint="give it a role, or credentials as AWS's own tools read them",
            )
        create = partial(
            self.base.create_client,
            region_name=self.access.region,
            endpoint_url=self.endpoint_url,
            config=_CONFIG,
        )
        wanted = {
            "RoleSessionName": self.access.session or _SESSION_NAME,
            "ExternalId": self.external_id,
        }
        fetcher = AioAssumeRoleCredentialFetcher(
            client_creator=create,  # type: ignore[arg-type]  # the types are those of botocore
            source_credentials=source,
            role_arn=self.access.role,
            extra_args={key: value for key, value in wanted.items() if value},
        )
        return AioDeferredRefreshableCredentials(
            method=self.METHOD, refresh_using=fetcher.fetch_credentials
        )


@attrs.define(kw_only=True)
class Clients:
    """Opens each client once and keeps it until it is closed.

    Attributes:
        endpoint_url: Where AWS's services are, if not where AWS has them.
        external_ids: The external id that goes with a role, by the role's ARN.
    """

    endpoint_url: str | None
    external_ids: Mapping[str, str] = attrs.field(repr=False)
    _base: AioSession = attrs.field(factory=get_session, init=False, repr=False)
    _open: AsyncExitStack = attrs.field(factory=AsyncExitStack, init=False, repr=False)
    _clients: dict[_Access, "asyncio.Task[ECSClient]"] = attrs.field(
        factory=dict, init=False, repr=False
    )

    async def ecs(self, place: Place) -> "ECSClient":
        """The client for a place; those who ask for the same one at once share it."""
        access = _Access(place.region, place.role, place.session)
        task = self._clients.get(access)
        if task is None:
            task = self._clients[access] = asyncio.create_task(self._opened(access))
            task.add_done_callback(partial(self._forget_failed, access))
        return await asyncio.shield(task)

    async def aclose(self) -> None:
        """Close all clients."""
        opening = tuple(self._clients.values())
        for task in opening:
            task.cancel()
        await asyncio.gather(*opening, return_exceptions=True)
        self._clients.clear()
        await self._open.aclose()

    async def _opened(self, access: _Access) -> "ECSClient":
        client = self._session(access).create_client(
            "ecs", region_name=access.region, endpoint_url=self.endpoint_url, config=_CONFIG
        )
        return await self._open.enter_async_context(client)

    def _session(self, access: _Access) -> AioSession:
        if not access.role:
            return self._base
        role = _AssumedRole(
            base=self._base,
            access=access,
            external_id=self.external_ids.get(access.role, ""),
            endpoint_url=self.endpoint_url,
        )
        session = get_session()
        # With its files read already: a tenant's role does not make the others wait for that.
        session.register_component("data_loader", self._base.get_component("data_loader"))
        chain = AioCredentialResolver([role])  # type: ignore[list-item]  # as above
        session.register_component("credential_provider", chain)
        return session

    def _forget_failed(self, access: _Access, task: "asyncio.Task[ECSClient]") -> None:
        if task.cancelled() or task.exception() is not None:
            self._clients.pop(access, None)
