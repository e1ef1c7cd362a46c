"""Landlord's part: sends jobs, waits for their ends and measures them."""

import asyncio
import time
from collections.abc import Mapping, Sequence
from typing import Any
from uuid import uuid4

import aiohttp
import attrs
import psutil

from benchmarks.processes import Location, Worker, cpu_seconds
from landlord_engines_restate.admin import AdminClient

__all__ = ["Load", "Round", "build_config", "create_keys"]

POLL_INTERVAL = 0.1
"""Seconds between two checks whether all jobs are done."""


def create_keys(count: int) -> list[str]:
    """Create keys of new tenants."""
    return [str(uuid4()) for _ in range(count)]


def build_config(version: int) -> Mapping[str, object]:
    """Build a tenant's configuration of common size."""
    return {
        "image": f"registry.example.com/team/application:{version}",
        "replicas": 2,
        "env": {"LOG_LEVEL": "info", "DATABASE_HOST": "db.example.com", "FEATURES": "a,b,c"},
        "resources": {"cpu": "500m", "memory": "512Mi"},
        "ports": [8080, 9090],
    }


@attrs.frozen(kw_only=True)
class Round:
    """The measured times of some jobs on one worker, in seconds."""

    jobs: int
    elapsed: float
    cpu: float
    server_cpu: float
    latencies: Sequence[float] = attrs.field(repr=False)
    tenant_reads: int
    memory: float

    @property
    def jobs_per_second(self) -> float:
        """Return the jobs per second."""
        return self.jobs / self.elapsed

    @property
    def worker_cpu_ms(self) -> float:
        """Return the milliseconds of the worker's processor time per job."""
        return 1000 * self.cpu / self.jobs

    @property
    def server_cpu_ms(self) -> float:
        """Return the milliseconds of restate-server's processor time per job."""
        return 1000 * self.server_cpu / self.jobs

    def latency_ms(self, share: float) -> float:
        """Return the milliseconds in which this share of the jobs ended."""
        return 1000 * sorted(self.latencies)[int(share * (self.jobs - 1))]


@attrs.define(kw_only=True)
class Load:
    """The client that sends jobs to workers, and watches the restate-server between them."""

    location: Location
    server: psutil.Process
    http: aiohttp.ClientSession
    admin: AdminClient
    _version: int = attrs.field(default=0, init=False)

    async def new_config(self) -> None:
        """Change the desired configuration of every tenant."""
        self._version += 1
        url = f"{self.location.landlord}/config"
        async with self.http.put(url, json=build_config(self._version)) as response:
            response.raise_for_status()

    async def run_round(
        self, worker: Worker, keys: Sequence[str], jobs: int, clients: int
    ) -> Round:
        """Send jobs; each client has its own tenants and sends one job at a time."""
        latencies: list[float] = []
        reads, server = await self.count_tenant_reads(), cpu_seconds(self.server)
        cpu, began = worker.cpu(), time.perf_counter()
        async with asyncio.TaskGroup() as group:
            for client in range(clients):
                client_keys = keys[client::clients]
                share = len(range(client, jobs, clients))
                group.create_task(self._client(worker, client_keys, share, latencies))
        elapsed = time.perf_counter() - began
        await self.wait_resynced()
        return Round(
            jobs=jobs,
            elapsed=elapsed,
            cpu=worker.cpu() - cpu,
            server_cpu=cpu_seconds(self.server) - server,
            latencies=latencies,
            tenant_reads=await self.count_tenant_reads() - reads,
            memory=worker.memory(),
        )

    async def run_job(self, worker: Worker, tenant: str) -> str:
        """Run one job and return its invocation's id."""
        body = {
            "tenant_id": f"name-{tenant}",
            "tenant_uuid": tenant,
            "operation": "provision",
            "desired_config": build_config(self._version),
        }
        url = f"{self.location.ingress}/{worker.service}/execute"
        async with self.http.post(url, json=body) as response:
            response.raise_for_status()
            answer: Mapping[str, Any] = await response.json(content_type=None)
        assert answer["state"] == "succeeded", answer
        execution_id: str = answer["execution_id"]
        return execution_id

    async def wait_resynced(self) -> None:
        """Wait until the calls that jobs have sent are complete too."""
        while await self.admin.query(
            "SELECT id FROM sys_invocation WHERE status <> 'completed' LIMIT 1"
        ):
            await asyncio.sleep(POLL_INTERVAL)

    async def count_tenant_reads(self) -> int:
        """Return the number of tenant requests to Landlord so far."""
        async with self.http.get(f"{self.location.landlord}/counts") as response:
            counts: Mapping[str, int] = await response.json()
            return counts.get("tenant", 0)

    async def _client(
        self, worker: Worker, keys: Sequence[str], jobs: int, latencies: list[float]
    ) -> None:
        for number in range(jobs):
            began = time.perf_counter()
            await self.run_job(worker, keys[number % len(keys)])
            latencies.append(time.perf_counter() - began)
