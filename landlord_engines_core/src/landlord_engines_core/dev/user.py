"""What a user of Landlord does: the tenant API, and looks at a tenant's page."""

import json
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from contextlib import asynccontextmanager
from http import HTTPStatus
from typing import Any, TypeVar

import aiohttp
import attrs
import backoff

from landlord_engines_core.errors import DemoFailed

__all__ = ["User"]

T = TypeVar("T")

WITHIN = 60.0
"""Seconds; a tenant's first start may take a while on a busy machine."""


@attrs.frozen(kw_only=True)
class User:
    """One user.

    Attributes:
        landlord: Landlord's API, its version included.
        http: The connections.
        within: Seconds for each thing that is waited for.
    """

    landlord: str
    http: aiohttp.ClientSession
    within: float = WITHIN

    @classmethod
    @asynccontextmanager
    async def connect(cls, landlord: str) -> AsyncIterator["User"]:
        """Connect to the Landlord at this address."""
        async with aiohttp.ClientSession() as http:
            yield cls(landlord=landlord, http=http)

    async def create(self, name: str, config: Mapping[str, object]) -> str:
        """Declare a tenant.

        Returns:
            Its id.
        """
        document = {"name": name, "compute_config": config}
        created = await self._ask("POST", "tenants", document)
        return str(created["id"])

    async def update(self, tenant: str, config: Mapping[str, object]) -> None:
        """Replace a tenant's configuration."""
        await self._ask("PUT", f"tenants/{tenant}", {"compute_config": config})

    async def delete(self, tenant: str) -> None:
        """Have a tenant archived and then removed."""
        await self._ask("DELETE", f"tenants/{tenant}")

    async def tenant(self, tenant: str) -> Mapping[str, Any]:
        """A tenant as Landlord shows it; empty where there is none of this id."""
        async with self.http.get(f"{self.landlord}/tenants/{tenant}") as response:
            if response.status == HTTPStatus.NOT_FOUND:
                return {}
            shown: Mapping[str, Any] = await response.json()
            return shown

    async def tenants(self) -> list[str]:
        """The ids of all tenants, archived ones included."""
        everything = {"include_deleted": "true", "limit": "1000000"}
        async with self.http.get(f"{self.landlord}/tenants", params=everything) as response:
            return [str(one["id"]) for one in (await response.json())["tenants"]]

    async def wait_ready(self, tenant: str) -> None:
        """Wait until Landlord shows the tenant as ready."""

        async def look() -> bool:
            return (await self.tenant(tenant)).get("status") == "ready"

        await self.wait_for("the tenant ready", look)

    async def page(self, url: str) -> list[str]:
        """The lines of a page; none where nothing answers."""
        try:
            async with self.http.get(url) as response:
                return (await response.text()).splitlines()
        except aiohttp.ClientError:
            return []

    async def wait_for(self, what: str, look: Callable[[], Awaitable[T]]) -> T:
        """Look again and again until there is something to see.

        Raises:
            DemoFailed: There was nothing in time.
        """
        again = backoff.on_predicate(
            backoff.expo, factor=0.05, max_value=0.5, max_time=self.within, jitter=None, logger=None
        )(look)
        if not (seen := await again()):
            raise DemoFailed(
                f"{what} was not seen within {self.within:g} s", hint="see what the worker logs"
            )
        found: T = seen
        return found

    async def _ask(
        self, method: str, path: str, document: Mapping[str, object] | None = None
    ) -> Mapping[str, Any]:
        url = f"{self.landlord}/{path}"
        async with self.http.request(method, url, json=document) as response:
            answer = await response.read()
            if response.status >= HTTPStatus.BAD_REQUEST:
                raise DemoFailed(f"Landlord answered {method} {path} with {response.status}")
            shown: Mapping[str, Any] = json.loads(answer)
            return shown
