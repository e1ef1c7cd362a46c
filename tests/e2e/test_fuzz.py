"""Bodies of all kinds through the real ingress: each job ends, is refused, or is held.

A few hundred in a plain run; `nox -s fuzz -- --bodies 10000 --seed 7` for more and for others.
"""

import asyncio
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
from landlord_test_target.harness import Worker, World
from landlord_test_target.hostile import Bodies
from landlord_test_target.waiting import wait_for

BATCH = 250
SENDERS = 8
QUARTERS = 4
MIB = 1024 * 1024

Row = Mapping[str, Any]


@attrs.frozen(kw_only=True)
class Fuzzing:
    """One run, batch by batch, so that no more is in flight than a small server bears."""

    world: World
    bodies: Bodies
    results: Counter[str] = attrs.field(factory=Counter)

    async def send(self, count: int) -> None:
        """Send so many bodies and count what came of them; what is held is killed afterwards."""
        for sent in range(0, count, BATCH):
            jobs = await self._dispatched(min(BATCH, count - sent))
            verdicts = await wait_for(lambda jobs=jobs: self._verdicts(jobs), 120)  # type: ignore[misc]
            self.results.update(verdicts.values())
            held = (job for job, result in verdicts.items() if result == "held")
            await asyncio.gather(*(self.world.dispatcher.kill(job) for job in held))

    async def _dispatched(self, count: int) -> list[str]:
        bodies = iter([self.bodies.one() for _ in range(count)])
        jobs: list[str] = []

        async def send() -> None:
            url = f"{self.world.restate.endpoint}/{self.world.service}/execute/send"
            headers = {"Content-Type": "application/json"}
            for body in bodies:
                data = BytesIO(body)
                async with self.world.http.post(url, data=data, headers=headers) as response:
                    if response.status == 202:
                        jobs.append((await response.json())["invocationId"])
                        continue
                    # Restate's own: an empty body is none to it.
                    assert 400 <= response.status < 500, await response.text()
                    self.results["refused by the ingress"] += 1

        await asyncio.gather(*(send() for _ in range(SENDERS)))
        return jobs

    async def _verdicts(self, jobs: list[str]) -> Mapping[str, str]:
        """What came of these jobs, once something came of each."""
        await asyncio.sleep(0.2)
        rows = await self.world.admin.query(
            "SELECT id, status, completion_result, completion_failure, last_failure"
            f" FROM sys_invocation WHERE id IN ({','.join(map(literal, jobs))})"
        )
        verdicts = {str(row["id"]): _verdict(row) for row in rows}
        return verdicts if len(verdicts) == len(jobs) and all(verdicts.values()) else {}


def _verdict(row: Row) -> str:
    """Empty while nothing came of it; also where it is tried again, which none of these is to be."""
    if row["status"] == "completed":
        if row["completion_result"] == "success":
            return "done"
        refused = re.match(r"\[(4\d\d)", row["completion_failure"])
        assert refused, row
        return f"refused with {refused[1]}"
    assert "broke with" not in row.get("last_failure", ""), row
    return "held" if "LE402: " in row.get("last_failure", "") else ""


async def _ready(worker: Worker, world: World) -> bool:
    async with world.http.get(f"{worker.probe_url}/readyz") as response:
        return response.status == 200


async def test_whatever_is_sent_is_done_refused_or_held(
    world: World, pytestconfig: pytest.Config
) -> None:
    count, seed = pytestconfig.getoption("bodies", 300), pytestconfig.getoption("seed", 1)
    worker = await world.worker()
    assert worker.process is not None
    process = psutil.Process(worker.process.pid)
    fuzzing = Fuzzing(world=world, bodies=Bodies(seed))

    # The first ones import, compile and fill what stays.
    await fuzzing.send(BATCH)
    sizes, begun = [process.memory_info().rss / MIB], monotonic()
    for _ in range(QUARTERS):
        await fuzzing.send(count // QUARTERS)
        sizes.append(process.memory_info().rss / MIB)
    speed = count / (monotonic() - begun)
    results = ", ".join(f"{number} {name}" for name, number in sorted(fuzzing.results.items()))
    memory = ", ".join(f"{size:.1f}" for size in sizes)
    sys.stdout.write(
        f"\nseed {seed}: {results}; {speed:.0f} bodies/s;"
        f" RSS in MiB after the first {BATCH} and after each quarter: {memory}\n"
    )

    assert fuzzing.results.total() == BATCH + count // QUARTERS * QUARTERS
    assert {"done", "held", "refused with 400"} <= set(fuzzing.results)
    assert sizes[-1] - sizes[0] < 64
    assert await _ready(worker, world)
    assert await world.run(world.tenant(), "provision", version=1) == "created"
