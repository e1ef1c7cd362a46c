"""A user of Landlord: calls the tenant API, and reads a tenant's page."""

import json
import operator
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from contextlib import asynccontextmanager
from http import HTTPStatus
from typing import Any, TypeVar

import aiohttp
import attrs

from landlord_engines_core.errors import DemoFailed
from landlord_engines_core.retries import poll

__all__ = ["User"]

T = TypeVar("T")

TIMEOUT = 60.0
"""Seconds; a tenant's first start takes a while on a busy machine."""


@attrs.frozen(kw_only=True)
class User:
    """User of one Landlord.

    Attributes:
        landlord: Landlord's API, its version included.
        http: The HTTP session.
        timeout: Seconds for each wait.
    """

    landlord: str
    http: aiohttp.ClientSession
    timeout: float = TIMEOUT

    @classmethod
    @asynccontextmanager
    async def connect(cls, landlord: str) -> AsyncIterator["User"]:
        """Connect to the Landlord at this address."""
        async with aiohttp.ClientSession() as http:
            yield cls(landlord=landlord, http=http)

    async def create(self, name: str, config: Mapping[str, object]) -> str:
        """Create a tenant.

        Returns:
            The tenant's id.
        """
        document = {"name": name, "compute_config": config}
        created = await self._request("POST", "tenants", document)
        return str(created["id"])

    async def update(self, tenant: str, config: Mapping[str, object]) -> None:
        """Replace a tenant's configuration."""
        await self._request("PUT", f"tenants/{tenant}", {"compute_config": config})

    async def delete(self, tenant: str) -> None:
        """Delete a tenant; Landlord archives and then removes it."""
        await self._request("DELETE", f"tenants/{tenant}")

    async def tenant(self, tenant: str) -> Mapping[str, Any]:
        """Read a tenant as Landlord shows it; empty if there is none."""
        async with self.http.get(f"{self.landlord}/tenants/{tenant}") as response:
            if response.status == HTTPStatus.NOT_FOUND:
                return {}
            document: Mapping[str, Any] = await response.json()
            return document

    async def tenants(self) -> list[str]:
        """Read the ids of all tenants, archived ones included."""
        # One page with all tenants.
        everything = {"include_deleted": "true", "limit": "1000000"}
        async with self.http.get(f"{self.landlord}/tenants", params=everything) as response:
            return [str(tenant["id"]) for tenant in (await response.json())["tenants"]]

    async def wait_ready(self, tenant: str) -> None:
        """Wait until Landlord shows the tenant as ready."""

        async def is_ready() -> bool:
            return (await self.tenant(tenant)).get("status") == "ready"

        await self.wait_for("the tenant ready", is_ready)

    async def page(self, url: str) -> list[str]:
        """Read the lines of a page; none if no server answers."""
        try:
            async with self.http.get(url) as response:
                return (await response.text()).splitlines()
        except aiohttp.ClientError:
            return []

    async def wait_for(self, expected: str, check: Callable[[], Awaitable[T]]) -> T:
        """Call ``check`` until it returns a true value, and return that value.

        Raises:
            DemoFailed: ``check`` returned no true value in time.
        """
        result = await poll(check, operator.not_, first=0.05, longest=0.5, within=self.timeout)
        if not result:
            raise DemoFailed(
                f"{expected} was not seen within {self.timeout:g} s", hint="read the worker's log"
            )
        return result

    async def _request(
        self, method: str, path: str, document: Mapping[str, object] | None = None
    ) -> Mapping[str, Any]:
        url = f"{self.landlord}/{path}"
        async with self.http.request(method, url, json=document) as response:
            answer = await response.read()
            if response.status >= HTTPStatus.BAD_REQUEST:
                raise DemoFailed(
                    f"Landlord answered {method} {path} with status {response.status}",
                    hint="read the log",
                )
            result: Mapping[str, Any] = json.loads(answer)
            return result
