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

Result = TypeVar("Result")

PREEMPTED = ("[409] cancelled", "[409] killed")

NOT_MOVED = "left"
"""The word of `landlord-host move` for an invocation that stays on the old version."""


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
    upgrades: int = 0
    operations: Counter[str] = attrs.field(factory=Counter)
    previous_states: Counter[str] = attrs.field(factory=Counter)
    move_outcomes: Counter[str] = attrs.field(factory=Counter)
    problems: Counter[str] = attrs.field(factory=Counter)
    move_commands: int = 0
    seconds: list[float] = attrs.field(factory=list)

    async def upgrade(self, old: Worker, of_each: int) -> Worker:
        """Replace the old version by a new one while operations are in flight."""
        in_flight = await self._start_operations(of_each)
        started_at = monotonic()
        new = await self._start_next_version()
        during_upgrade = await self._start_for_tenants(of_each, self._start_plain)
        code = await self._move_invocations(new, old)
        # Jobs that still run on the old version may end there. All others have moved.
        await self._let_creates_succeed(
            operation.tenant
            for operation in in_flight
            if operation.kind in ("running", "preempted")
        )
        while code:
            code = await self._move_invocations(new, old)
        assert await old.terminate() == 0
        await self._let_creates_succeed(operation.tenant for operation in in_flight)
        for operation in (*in_flight, *during_upgrade):
            await self._check_result(operation)
        self.seconds.append(monotonic() - started_at)
        self.upgrades += 1
        return new

    async def _start_operations(self, of_each: int) -> list[Operation]:
        waiting = await self._start_for_tenants(of_each, self._start_waiting)
        starts = (self._start_running, self._start_held, self._start_retried)
        others = [
            operation
            for start in starts
            for operation in await self._start_for_tenants(of_each, start)
        ]
        return [*(operation for pair in waiting for operation in pair), *others]

    async def _start_next_version(self) -> Worker:
        """Start the same worker under another URL, with another option in its manifest."""
        return await self.harness.worker(
            hold_retry_interval="1s", step_timeout=f"{self.upgrades + 60}s"
        )

    async def _move_invocations(self, new: Worker, old: Worker) -> int:
        url = f"http://{old.config['workflow']['restate']['worker_address']}"
        code, text = await new.command("move", "--from", url)
        assert code in (0, 3), text
        lines = [line for line in text.splitlines() if "  inv_" in line]
        self.move_outcomes.update(line.split()[0] for line in lines)
        self.previous_states.update(
            line.split("  was ")[1] for line in lines if line.startswith("moved")
        )
        self.move_commands += 1
        return code

    async def _start_for_tenants(
        self, count: int, start: Callable[[str], Awaitable[Result]]
    ) -> list[Result]:
        return await asyncio.gather(*(start(self.harness.tenant()) for _ in range(count)))

    async def _let_creates_succeed(self, tenants: Iterable[str]) -> None:
        """Remove the faults that stop creates."""
        await asyncio.gather(*(self._set_create_faults(tenant) for tenant in set(tenants)))

    async def _set_create_faults(self, tenant: str, **faults: float) -> None:
        """Set the faults of a tenant's creates. A repeated create makes a second resource."""
        await self.harness.target.set_fault(tenant, "create", duplicate=1, **faults)

    async def _start_plain(self, tenant: str) -> Operation:
        await self._set_create_faults(tenant)
        job = await self.harness.send(tenant, "provision", version=1)
        return Operation(
            kind="started during the upgrade", tenant=tenant, job=job, outcome="created", version=1
        )

    async def _start_running(self, tenant: str) -> Operation:
        # The target keeps the request open until the fault is removed.
        await self._set_create_faults(tenant, hold=1)
        job = await self.harness.send(tenant, "provision", version=1)
        await self.harness.target.wait_called(tenant, "create")
        return Operation(kind="running", tenant=tenant, job=job, outcome="created", version=1)

    async def _start_waiting(self, tenant: str) -> tuple[Operation, Operation]:
        preempted = attrs.evolve(
            await self._start_running(tenant), kind="preempted", outcome="", version=2
        )
        job = await self.harness.send(tenant, "update", version=2)
        await self.harness.wait_status(job, "suspended")
        waiting = Operation(kind="waiting", tenant=tenant, job=job, outcome="updated", version=2)
        return preempted, waiting

    async def _start_held(self, tenant: str) -> Operation:
        await self._set_create_faults(tenant, refuse=-1)
        job = await self.harness.send(tenant, "provision", version=1)
        await self.harness.wait_held(job, "LE402")
        return Operation(kind="held", tenant=tenant, job=job, outcome="created", version=1)

    async def _start_retried(self, tenant: str) -> Operation:
        await self._set_create_faults(tenant, fail=-1)
        job = await self.harness.send(tenant, "provision", version=1)
        await self.harness.wait_held(job, "LE403")
        return Operation(
            kind="retried after a transient failure",
            tenant=tenant,
            job=job,
            outcome="created",
            version=1,
        )

    async def _check_result(self, operation: Operation) -> None:
        """Compare an operation with its expected result.

        Restate's row shows the job's end, the history its outcome, and the target's log of calls
        its creates.
        """
        self.operations[operation.kind] += 1
        row = await self.harness.wait_status(operation.job, "completed")
        failure = row.get("completion_failure", "")
        if not operation.outcome:
            self.problems["failed"] += failure not in PREEMPTED
            return
        self.problems["failed"] += bool(failure)
        history = await self.harness.wait_ended(operation.tenant, 1)
        ends = {(entry["execution_id"], entry["outcome"]) for entry in history}
        resources = await self.harness.target.resources(operation.tenant)
        versions = {json.loads(resource["document"])["version"] for resource in resources}
        self.problems["lost"] += (
            versions != {operation.version} or (operation.job, operation.outcome) not in ends
        )
        creates = len(await self.harness.target.ledger(operation.tenant, "create", "201"))
        self.problems["doubled"] += len(resources) > 1 or creates > 1

    def render_table(self) -> str:
        figures = {
            "upgrades": self.upgrades,
            "operations": self.operations.total(),
            **{f"- {kind}": count for kind, count in self.operations.items()},
            "runs of the command": self.move_commands,
            **{f"- found {state}, moved": count for state, count in self.previous_states.items()},
            "- killed": self.move_outcomes["killed"],
            "- not moved": self.move_outcomes[NOT_MOVED],
            "failed": self.problems["failed"],
            "lost": self.problems["lost"],
            "doubled": self.problems["doubled"],
            "longest upgrade in s": round(max(self.seconds), 1),
        }
        return "\n".join(f"| {key} | {value} |" for key, value in figures.items())


@pytest.mark.parametrize(
    ("count", "of_each"), [(1, 1), pytest.param(20, 5, marks=pytest.mark.long)]
)
async def test_a_new_version_loses_no_operation_in_flight(
    harness: Harness, count: int, of_each: int
) -> None:
    results = UpgradeResults(harness=harness)
    worker = await harness.worker(hold_retry_interval="1s", step_timeout="59s")

    for _ in range(count):
        worker = await results.upgrade(worker, of_each)

    print(f"\n{results.render_table()}")  # noqa: T201  # the figures are what the long form is for
    assert not +results.problems, results.render_table()
    assert results.move_outcomes[NOT_MOVED] == 0
    # A call of the lock that runs when `move` lists the invocations may end before it is moved.
    assert results.move_outcomes["moved"] >= 3 * of_each * count
