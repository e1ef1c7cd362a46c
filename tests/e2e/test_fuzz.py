"""Bodies of all kinds through the real ingress, compared with an oracle that reads them by Go's rules.

The oracle predicts whether each job is done, refused or held. After each job, the tenant's target and
record match the last good job. A delete always deletes.

A plain run sends forty bodies. `nox -s fuzz -- --bodies 10000 --seed 7` sends more, with another seed.
"""

import asyncio
import json
import re
import sys
from collections import Counter
from collections.abc import Mapping
from io import BytesIO
from time import monotonic
from typing import Any

import attrs
import psutil
import pytest

from landlord_engines_restate.admin import literal
from landlord_test_target.harness import Harness, Worker
from landlord_test_target.hostile import Bodies
from landlord_test_target.oracle import Expected, Oracle, Request, Resource, request_of
from landlord_test_target.waiting import wait_for

BATCH = 250
SENDERS = 8
QUARTERS = 4
MIB = 1024 * 1024

Row = Mapping[str, Any]
Job = tuple[bytes, Request | None]


@attrs.frozen(kw_only=True)
class Fuzzing:
    """One run, in rounds with at most one job per tenant, so that the order of jobs is known."""

    harness: Harness
    bodies: Bodies
    oracle: Oracle = attrs.field(factory=Oracle)
    results: Counter[str] = attrs.field(factory=Counter)

    async def send(self, count: int) -> None:
        """Send this many bodies and compare each result with the oracle's."""
        for sent in range(0, count, BATCH):
            waiting = [self.bodies.next_body() for _ in range(min(BATCH, count - sent))]
            jobs = [(body, request_of(body)) for body in waiting]
            while jobs:
                jobs = await self._round(jobs)

    async def _round(self, jobs: list[Job]) -> list[Job]:
        """Send the first job of each tenant, and return the others."""
        now: list[tuple[bytes, Expected]] = []
        later: list[Job] = []
        busy: set[str] = set()
        for body, request in jobs:
            if request is not None and request.tenant in busy:
                later.append((body, request))
                continue
            now.append((body, self.oracle.expect(request)))
            busy.update({request.tenant} if request else ())
        await self._run_and_compare(now)
        return later

    async def _run_and_compare(self, bodies: list[tuple[bytes, Expected]]) -> None:
        jobs = await self._dispatch(bodies)
        verdicts = await wait_for(lambda: self._verdicts(list(jobs)), 120)
        wrong = [
            (self.oracle.tenants.get(jobs[job].tenant), jobs[job], verdict)
            for job, verdict in verdicts.items()
            if not verdict.startswith(jobs[job].verdict)
        ]
        assert wrong == []
        self.results.update(verdict.partition(":")[0] for verdict in verdicts.values())
        held = (job for job, verdict in verdicts.items() if verdict.startswith("held"))
        await asyncio.gather(*(self.harness.dispatcher.kill(job) for job in held))
        await self._compare([expected for expected in jobs.values() if expected.tenant])

    async def _compare(self, round_results: list[Expected]) -> None:
        """Compare the target and the records with the oracle's state."""
        for expected in round_results:
            self.oracle.remember(expected)
        placements: dict[str, set[Resource]] = {}
        for row in await self.harness.target.rows_of_all_tenants("resources"):
            digest = json.loads(row["document"])["config_hash"]
            actual = Resource(row["engine"], row["location"], digest)
            placements.setdefault(row["tenant"], set()).add(actual)
        for expected in round_results:
            desired = self.oracle.tenants.get(expected.tenant)
            on_target = {desired} if desired and desired.engine != "mock" else set()
            assert placements.get(expected.tenant, set()) == on_target, expected
        ended = (expected.tenant for expected in round_results if expected.changes)
        await asyncio.gather(*map(self._wait_recorded, ended))

    async def _wait_recorded(self, tenant: str) -> None:
        desired = self.oracle.tenants[tenant]

        async def check() -> bool:
            status = await self.harness.status(tenant)
            locations = {
                (placement["engine"], placement["location"]) for placement in status["placements"]
            }
            last = status["last"]
            return locations == ({(desired.engine, desired.location)} if desired else set()) and (
                last["ended_at"] and last["config_hash"] == (desired.config_hash if desired else "")
            )

        await wait_for(check)

    async def _dispatch(self, bodies: list[tuple[bytes, Expected]]) -> dict[str, Expected]:
        unsent = iter(bodies)
        jobs: dict[str, Expected] = {}

        async def send() -> None:
            url = f"{self.harness.restate.endpoint}/{self.harness.service}/execute/send"
            headers = {"Content-Type": "application/json"}
            for body, expected in unsent:
                data = BytesIO(body)
                async with self.harness.http.post(url, data=data, headers=headers) as response:
                    if response.status == 202:
                        jobs[(await response.json())["invocationId"]] = expected
                        continue
                    # Restate itself refuses an empty body.
                    assert 400 <= response.status < 500, await response.text()
                    assert body == b""
                    self.results["refused by the ingress"] += 1

        await asyncio.gather(*(send() for _ in range(SENDERS)))
        return jobs

    async def _verdicts(self, jobs: list[str]) -> Mapping[str, str]:
        """Wait until each of these jobs has a verdict, and return the verdicts."""
        await asyncio.sleep(0.1)
        rows = await self.harness.admin.query(
            "SELECT id, status, completion_result, completion_failure, last_failure"
            f" FROM sys_invocation WHERE id IN ({','.join(map(literal, jobs))})"
        )
        verdicts = {str(row["id"]): _verdict(row) for row in rows}
        return verdicts if len(verdicts) == len(jobs) and all(verdicts.values()) else {}


def _verdict(row: Row) -> str:
    """Read a job's verdict; empty while it runs or is retried. The oracle predicts no retry."""
    if row["status"] == "completed":
        if row["completion_result"] == "success":
            return "done"
        refused = re.match(r"\[(4\d\d)", row["completion_failure"])
        assert refused, row
        return f"refused with {refused[1]}"
    assert " raised " not in row.get("last_failure", ""), row
    failure = row.get("last_failure", "")
    return f"held: {failure}" if "LE402: " in failure else ""


async def _is_ready(worker: Worker, harness: Harness) -> bool:
    async with harness.http.get(f"{worker.probe_url}/readyz") as response:
        return response.status == 200


async def test_every_body_is_done_refused_or_held(
    harness: Harness, pytestconfig: pytest.Config
) -> None:
    count, seed = pytestconfig.getoption("bodies", 300), pytestconfig.getoption("seed", 1)
    worker = await harness.worker()
    assert worker.process is not None
    process = psutil.Process(worker.process.pid)
    fuzzing = Fuzzing(harness=harness, bodies=Bodies(seed))

    # The first bodies load modules and fill caches.
    await fuzzing.send(BATCH)
    sizes, begun = [process.memory_info().rss / MIB], monotonic()
    for _ in range(QUARTERS):
        await fuzzing.send(count // QUARTERS)
        sizes.append(process.memory_info().rss / MIB)
    speed = count / (monotonic() - begun)
    results = ", ".join(f"{number} {name}" for name, number in sorted(fuzzing.results.items()))
    memory = ", ".join(f"{size:.1f}" for size in sizes)
    sys.stdout.write(
        f"\nseed {seed}: {results}; {speed:.0f} bodies/s\n"
        f"RSS in MiB after the first {BATCH} and after each quarter: {memory}\n"
    )

    assert fuzzing.results.total() == BATCH + count // QUARTERS * QUARTERS
    assert {"done", "held", "refused with 400"} <= set(fuzzing.results)
    # A configuration of 4 MiB takes 110 MiB for a moment, and the heap keeps some of that memory.
    assert sizes[-1] - sizes[0] < 128
    assert await _is_ready(worker, harness)
    assert await harness.run(harness.tenant(), "provision", version=1) == "created"
