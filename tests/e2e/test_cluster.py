"""Three restate-servers and two workers behind one address; one of each is killed under load.

Only `nox -s cluster` runs this: it needs more processes than a plain run has room for.
"""

import asyncio
import json
from collections import Counter
from collections.abc import AsyncIterator, Collection
from pathlib import Path
from statistics import median
from time import monotonic
from typing import Any

import aiohttp
import attrs
import pytest
import pytest_asyncio

from landlord_engines_core.errors import EngineError
from landlord_engines_restate.local.binary import server_binary
from landlord_test_target.balancer import run_balancer
from landlord_test_target.cluster import Cluster, cluster
from landlord_test_target.harness import Harness, Target, free_port, wait_for

pytestmark = pytest.mark.cluster

WITHIN = 600.0
"""Maximum seconds for all tenants; on an idle machine they take a tenth of it."""

TENANTS = 120
AT_ONCE = 24
OPERATIONS = (("provision", 1), ("update", 2), ("update", 3))
DELETES = ("delete", 3)
"""The last operation and version for every third tenant."""


@attrs.define(kw_only=True)
class ClusterLoad:
    """Tenants and their jobs. As Landlord does, the load repeats a request that failed or got no answer."""

    harness: Harness
    slots: asyncio.Semaphore = attrs.field(factory=lambda: asyncio.Semaphore(AT_ONCE))
    progress: asyncio.Condition = attrs.field(factory=asyncio.Condition)
    seconds: list[float] = attrs.field(factory=list)
    jobs: dict[str, list[str]] = attrs.field(factory=dict)
    in_flight: int = 0
    counts: Counter[str] = attrs.field(factory=Counter)

    async def run_tenant(self, number: int) -> None:
        """Run one tenant's operations."""
        tenant = self.harness.tenant()
        operations = (*OPERATIONS, DELETES) if number % 3 == 0 else OPERATIONS
        for call in ("create", "update", "delete"):
            await self.harness.target.set_fault(tenant, call, delay_before=0.3)
        async with self.slots:
            self.jobs[tenant] = [await self._operation(tenant, *step) for step in operations]

    async def check_tenants(self) -> None:
        """Compare each tenant with the ledger and the history."""
        for tenant, jobs in self.jobs.items():
            resources = await self.harness.target.resources(tenant)
            versions = [json.loads(resource["document"])["version"] for resource in resources]
            rows = await self.harness.target.rows(tenant)
            acts = [
                row for row in rows if row["outcome"] == "received" and row["call"] != "inspect"
            ]
            expected = [] if len(jobs) > len(OPERATIONS) else [OPERATIONS[-1][1]]
            self.counts["asked for twice"] += max(0, len(acts) - len(jobs))
            self.counts["doubled"] += len(versions) > 1
            self.counts["lost"] += versions != expected or not await self._has_all_ends(
                tenant, jobs
            )

    async def _has_all_ends(self, tenant: str, jobs: Collection[str]) -> bool:
        """Wait until the history has the end of each job."""

        async def check() -> bool:
            history = await self.harness.history(tenant)
            return {
                transition["execution_id"] for transition in history if transition["ended_at"]
            } >= set(jobs)

        try:
            return await wait_for(check)
        except AssertionError:
            return False

    async def wait_share(self, part: float) -> None:
        """Wait until this share of all operations has ended."""
        total = TENANTS * len(OPERATIONS) + (TENANTS + 2) // 3
        async with self.progress:
            await self.progress.wait_for(lambda: len(self.seconds) >= part * total)

    async def _operation(self, tenant: str, operation: str, version: int) -> str:
        begun = monotonic()
        self.in_flight += 1
        job = await self._send(tenant, operation, version)
        answer = await self._answer(job)
        self.in_flight -= 1
        self.counts["failed"] += answer["state"] != "succeeded"
        # If a worker is killed after the effect of a call, the next attempt finds nothing to do.
        self.counts["found done"] += answer["output"]["status"] in ("unchanged", "absent")
        async with self.progress:
            self.seconds.append(monotonic() - begun)
            self.progress.notify_all()
        return job

    async def _send(self, tenant: str, operation: str, version: int) -> str:
        while True:
            try:
                return await self.harness.send(tenant, operation, version=version)
            except EngineError:
                self.counts["sent again"] += 1
                await asyncio.sleep(0.5)

    async def _answer(self, job: str) -> dict[str, Any]:
        """Wait for a job's answer; a killed node closes the connection, so the request is repeated."""
        url = f"{self.harness.restate.endpoint}/restate/invocation/{job}/attach"
        while True:
            try:
                async with self.harness.http.get(url) as response:
                    if response.status == 200:
                        answer: dict[str, Any] = await response.json(content_type=None)
                        return answer
                    text = await response.text()
                if "[409]" in text:
                    return {"state": "failed", "output": {"status": text}}
            except aiohttp.ClientError:
                pass
            self.counts["asked again"] += 1
            await asyncio.sleep(0.5)


@pytest_asyncio.fixture(loop_scope="session")
async def nodes(tmp_path: Path) -> AsyncIterator[Cluster]:
    async with cluster(await server_binary(), tmp_path / "nodes") as running:
        yield running


async def test_a_node_and_a_worker_killed_under_load_lose_nothing(
    nodes: Cluster, target: Target, http: aiohttp.ClientSession, tmp_path: Path
) -> None:
    harness = Harness(restate=nodes, target=target, http=http, folder=tmp_path)
    ports = [free_port(), free_port()]
    async with run_balancer(f"127.0.0.1:{port}" for port in ports) as proxy:
        try:
            workers = []
            for port in ports:
                config = harness.config(port=port)
                config["workflow"]["restate"]["worker_advertised_url"] = proxy.url
                workers.append(await (await harness.launch(config)).wait_registered())
            load = ClusterLoad(harness=harness)
            async with asyncio.timeout(WITHIN), asyncio.TaskGroup() as jobs:
                for number in range(TENANTS):
                    jobs.create_task(load.run_tenant(number))
                await load.wait_share(0.25)
                in_flight = load.in_flight
                await asyncio.gather(nodes.nodes[0].kill(), workers[0].kill())
                await load.wait_share(0.6)
                await asyncio.gather(nodes.nodes[0].start(), harness.restart(workers[0]))
            await load.check_tenants()
        finally:
            await harness.aclose()

    figures = {
        "operations": len(load.seconds),
        "in flight at the kill": in_flight,
        **{key: load.counts[key] for key in ("sent again", "asked again")},
        "p50 in s": round(median(load.seconds), 2),
        "longest in s": round(max(load.seconds), 2),
        # Kills interrupted these requests before their effect, and after it.
        **{key: load.counts[key] for key in ("asked for twice", "found done")},
        **{key: load.counts[key] for key in ("failed", "lost", "doubled")},
    }
    table = "\n".join(f"| {key} | {value} |" for key, value in figures.items())
    print(f"\n{table}")  # noqa: T201  # the documents show these figures
    assert in_flight >= 20
    assert not any(load.counts[key] for key in ("failed", "lost", "doubled")), table
