"""Rolling upgrades: one new version after the other, with operations of all kinds in flight.

The long form does twenty upgrades with twenty-five operations in flight at each, and prints their
results: `nox -s e2e -- -m long -k loses_no_operation -n 0 -s`.
"""

import asyncio
import json
from collections import Counter
from collections.abc import Awaitable, Callable, Iterable
from time import monotonic
from typing import TypeVar

import attrs
import pytest

from landlord_test_target.harness import Harness, Worker

Made = TypeVar("Made")

GAVE_WAY = ("[409] cancelled", "[409] killed")


@attrs.frozen(kw_only=True)
class Operation:
    """One operation in flight, and its expected result."""

    kind: str
    tenant: str
    job: str
    outcome: str
    version: int


@attrs.define(kw_only=True)
class UpgradeResults:
    """The results of all upgrades so far."""

    harness: Harness
    done: int = 0
    operations: Counter[str] = attrs.field(factory=Counter)
    found: Counter[str] = attrs.field(factory=Counter)
    fates: Counter[str] = attrs.field(factory=Counter)
    wrong: Counter[str] = attrs.field(factory=Counter)
    moves: int = 0
    seconds: list[float] = attrs.field(factory=list)

    async def upgrade(self, old: Worker, of_each: int) -> Worker:
        """Replace the old version by a new one while operations are in flight."""
        flight = await self._in_flight(of_each)
        begun = monotonic()
        new = await self._next_version()
        late = await self._all(of_each, self._plain)
        code = await self._moved(new, old)
        # Jobs that still run on the old version may end there. All others have moved.
        await self._let(
            operation.tenant for operation in flight if operation.kind in ("running", "gives way")
        )
        while code:
            code = await self._moved(new, old)
        assert await old.terminate() == 0
        await self._let(operation.tenant for operation in flight)
        for flight_operation in (*flight, *late):
            await self._judge(flight_operation)
        self.seconds.append(monotonic() - begun)
        self.done += 1
        return new

    async def _in_flight(self, of_each: int) -> list[Operation]:
        waiting = await self._all(of_each, self._waiting)
        kinds = (self._running, self._held, self._backing_off)
        others = [call for kind in kinds for call in await self._all(of_each, kind)]
        return [*(operation for pair in waiting for operation in pair), *others]

    async def _next_version(self) -> Worker:
        """Start the same worker under another URL, with another option in its manifest."""
        return await self.harness.worker(
            hold_retry_interval="1s", step_timeout=f"{self.done + 60}s"
        )

    async def _moved(self, new: Worker, old: Worker) -> int:
        url = f"http://{old.config['workflow']['restate']['worker_address']}"
        code, text = await new.command("move", "--from", url)
        assert code in (0, 3), text
        lines = [line for line in text.splitlines() if "  inv_" in line]
        self.fates.update(line.split()[0] for line in lines)
        self.found.update(line.split("  was ")[1] for line in lines if line.startswith("moved"))
        self.moves += 1
        return code

    async def _all(self, count: int, make: Callable[[str], Awaitable[Made]]) -> list[Made]:
        return await asyncio.gather(*(make(self.harness.tenant()) for _ in range(count)))

    async def _let(self, tenants: Iterable[str]) -> None:
        await asyncio.gather(*(self._creates(tenant) for tenant in set(tenants)))

    async def _creates(self, tenant: str, **kinds: float) -> None:
        """Set the target's faults for creates, so that a second create makes a second resource."""
        await self.harness.target.set_fault(tenant, "create", duplicate=1, **kinds)

    async def _plain(self, tenant: str) -> Operation:
        await self._creates(tenant)
        job = await self.harness.send(tenant, "provision", version=1)
        return Operation(
            kind="begun meanwhile", tenant=tenant, job=job, outcome="created", version=1
        )

    async def _running(self, tenant: str) -> Operation:
        await self._creates(tenant, hold=1)
        job = await self.harness.send(tenant, "provision", version=1)
        await self.harness.target.wait_called(tenant, "create")
        return Operation(kind="running", tenant=tenant, job=job, outcome="created", version=1)

    async def _waiting(self, tenant: str) -> tuple[Operation, Operation]:
        holder = attrs.evolve(await self._running(tenant), kind="gives way", outcome="", version=2)
        job = await self.harness.send(tenant, "update", version=2)
        await self.harness.wait_status(job, "suspended")
        waits = Operation(kind="waiting", tenant=tenant, job=job, outcome="updated", version=2)
        return holder, waits

    async def _held(self, tenant: str) -> Operation:
        await self._creates(tenant, refuse=-1)
        job = await self.harness.send(tenant, "provision", version=1)
        await self.harness.wait_held(job, "LE402")
        return Operation(kind="held", tenant=tenant, job=job, outcome="created", version=1)

    async def _backing_off(self, tenant: str) -> Operation:
        await self._creates(tenant, fail=-1)
        job = await self.harness.send(tenant, "provision", version=1)
        await self.harness.wait_held(job, "LE403")
        return Operation(kind="backing off", tenant=tenant, job=job, outcome="created", version=1)

    async def _judge(self, operation: Operation) -> None:
        """Compare an operation's row, history and ledger with its expected result."""
        self.operations[operation.kind] += 1
        row = await self.harness.wait_status(operation.job, "completed")
        failure = row.get("completion_failure", "")
        if not operation.outcome:
            self.wrong["failed"] += failure not in GAVE_WAY
            return
        self.wrong["failed"] += bool(failure)
        history = await self.harness.wait_ended(operation.tenant, 1)
        ends = {(entry["execution_id"], entry["outcome"]) for entry in history}
        resources = await self.harness.target.resources(operation.tenant)
        versions = {json.loads(resource["document"])["version"] for resource in resources}
        self.wrong["lost"] += (
            versions != {operation.version} or (operation.job, operation.outcome) not in ends
        )
        creates = len(await self.harness.target.ledger(operation.tenant, "create", "201"))
        self.wrong["doubled"] += len(resources) > 1 or creates > 1

    def table(self) -> str:
        figures = {
            "rolls": self.done,
            "operations": self.operations.total(),
            **{f"- {kind}": count for kind, count in self.operations.items()},
            "runs of the command": self.moves,
            **{f"- found {state}, moved": count for state, count in self.found.items()},
            "- killed": self.fates["killed"],
            "- left": self.fates["left"],
            "failed": self.wrong["failed"],
            "lost": self.wrong["lost"],
            "doubled": self.wrong["doubled"],
            "longest roll in s": round(max(self.seconds), 1),
        }
        return "\n".join(f"| {key} | {value} |" for key, value in figures.items())


@pytest.mark.parametrize(
    ("count", "of_each"), [(1, 1), pytest.param(20, 5, marks=pytest.mark.long)]
)
async def test_a_new_version_loses_no_operation_in_flight(
    harness: Harness, count: int, of_each: int
) -> None:
    rolls = UpgradeResults(harness=harness)
    worker = await harness.worker(hold_retry_interval="1s", step_timeout="59s")

    for _ in range(count):
        worker = await rolls.upgrade(worker, of_each)

    print(f"\n{rolls.table()}")  # noqa: T201  # the figures are what the long form is for
    assert not +rolls.wrong, rolls.table()
    assert rolls.fates["left"] == 0
    # A call to the lock that runs at the first check may end before the second.
    assert rolls.fates["moved"] >= 3 * of_each * count
