"""Landlord's part in a soak: holds each tenant's desired state, sends the jobs, checks their results."""

import asyncio
from collections import Counter, deque
from collections.abc import Awaitable, Callable, Mapping
from typing import Any

import aiohttp
import attrs

from benchmarks.landlord_stub import Stub
from benchmarks.load import build_config
from benchmarks.processes import Worker
from benchmarks.soak.lifetimes import Tenant
from landlord_engines_restate.admin import AdminClient, literal

__all__ = ["Churn", "Landlord"]

POLL_INTERVAL = 0.05
BACKOFF_TIMEOUT = 120.0
"""Maximum seconds until a job backs off."""


class Landlord(Stub):
    """Landlord's API, with each tenant's status and configuration."""

    def __init__(self) -> None:
        super().__init__()
        self.tenants: dict[str, tuple[str, Mapping[str, object]]] = {}

    def _tenant(self, tenant: str) -> object:
        if tenant not in self.tenants:
            return None
        status, desired = self.tenants[tenant]
        document = self._build_document(tenant)
        return {**document, "status": status, "desired_config": desired, "compute_config": desired}


@attrs.define(kw_only=True)
class Churn:
    """The clients that create, update and delete tenants, and the count of their jobs.

    Attributes:
        tenants: All tenants; each client has its share.
        clients: The number of simultaneous jobs.
        jobs: The number of ended jobs.
        operations: How often the clients did each operation of a lifetime.
    """

    landlord: Landlord
    worker: Worker
    execute: str
    http: aiohttp.ClientSession
    admin: AdminClient
    tenants: list[Tenant]
    clients: int
    jobs: int = attrs.field(default=0, init=False)
    operations: Counter[str] = attrs.field(factory=Counter, init=False)
    _shares: list[deque[Tenant]] = attrs.field(init=False)

    @_shares.default
    def _split_tenants(self) -> list[deque[Tenant]]:
        clients = min(self.clients, len(self.tenants))
        return [deque(self.tenants[client::clients]) for client in range(clients)]

    @property
    def with_resource(self) -> int:
        """Return the number of tenants that have a resource."""
        return sum(tenant.has_resource for tenant in self.tenants)

    async def run_until(self, jobs: int) -> None:
        """Do operations on tenants until this many jobs have ended."""
        async with asyncio.TaskGroup() as group:
            for share in self._shares:
                group.create_task(self._client(share, jobs))

    async def _client(self, share: deque[Tenant], jobs: int) -> None:
        methods: Mapping[str, Callable[[Tenant], Awaitable[None]]] = {
            "create": self._create,
            "update": self._update,
            "repeat": self._repeat,
            "hold": self._hold,
            "recreate": self._recreate,
            "drift": self._drift,
            "delete": self._delete,
            "archive": self._archive,
        }
        while self.jobs < jobs:
            tenant = share[0]
            share.rotate(-1)
            if operation := tenant.next_operation():
                await methods[operation](tenant)
                self.operations[operation] += 1

    async def _create(self, tenant: Tenant) -> None:
        tenant.version += 1
        await self._apply_and_check(tenant, "provision", "created")
        tenant.has_resource = True

    async def _update(self, tenant: Tenant) -> None:
        tenant.version += 1
        await self._apply_and_check(tenant, "update", "updated")

    async def _repeat(self, tenant: Tenant) -> None:
        await self._apply_and_check(tenant, "update", "unchanged")

    async def _hold(self, tenant: Tenant) -> None:
        refused = {**build_config(tenant.version), "compute_provider": "none-of-this-name"}
        self.landlord.tenants[tenant.key] = ("updating", refused)
        body = _body(tenant, "update", refused)
        async with self.http.post(f"{self.execute}/send", json=body) as response:
            response.raise_for_status()
            job = (await response.json())["invocationId"]
        await self._wait_backing_off(job)
        await self.admin.kill(job)
        self.jobs += 1
        await self._update(tenant)

    async def _wait_backing_off(self, job: str) -> None:
        check = f"SELECT status FROM sys_invocation WHERE id = {literal(job)}"  # noqa: S608  # quoted
        async with asyncio.timeout(BACKOFF_TIMEOUT):
            while [row["status"] for row in await self.admin.query(check)] != ["backing-off"]:
                await asyncio.sleep(POLL_INTERVAL)

    async def _recreate(self, tenant: Tenant) -> None:
        await self._delete(tenant)
        await self._create(tenant)

    async def _drift(self, tenant: Tenant) -> None:
        await self._update(tenant)
        tenant.version += 1
        self.landlord.tenants[tenant.key] = ("ready", build_config(tenant.version))

    async def _delete(self, tenant: Tenant) -> None:
        await self._delete_and_check(tenant)
        del self.landlord.tenants[tenant.key]

    async def _archive(self, tenant: Tenant) -> None:
        await self._delete_and_check(tenant)
        self.landlord.tenants[tenant.key] = ("archived", build_config(tenant.version))

    async def _apply_and_check(self, tenant: Tenant, operation: str, outcome: str) -> None:
        desired = build_config(tenant.version)
        status = "provisioning" if operation == "provision" else "updating"
        self.landlord.tenants[tenant.key] = (status, desired)
        await self._job(tenant, operation, outcome)
        self.landlord.tenants[tenant.key] = ("ready", desired)

    async def _delete_and_check(self, tenant: Tenant) -> None:
        self.landlord.tenants[tenant.key] = ("archiving", build_config(tenant.version))
        await self._job(tenant, "delete", "deleted")
        tenant.has_resource = False

    async def _job(self, tenant: Tenant, operation: str, outcome: str) -> None:
        """Run one job.

        Raises:
            AssertionError: The job has another result than expected.
        """
        body = _body(tenant, operation, build_config(tenant.version))
        async with self.http.post(self.execute, json=body) as response:
            answer: Any = await response.json(content_type=None)
        assert response.ok, answer
        assert answer["output"]["transition"]["outcome"] == outcome, answer
        self.jobs += 1


def _body(tenant: Tenant, operation: str, desired: Mapping[str, object]) -> Mapping[str, object]:
    return {
        "tenant_id": f"name-{tenant.key}",
        "tenant_uuid": tenant.key,
        "operation": operation,
        "desired_config": desired,
    }
