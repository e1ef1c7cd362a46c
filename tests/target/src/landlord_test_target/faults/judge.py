"""The judge of a campaign: nothing is lost, doubled or stuck, and every record is complete.

The judge checks once no job is open, and again after the longest time that a request can be in flight.
"""

import asyncio
import json
from collections.abc import Iterator, Mapping, Sequence
from contextlib import suppress
from time import time
from typing import Any

import attrs

from landlord_test_target.faults.campaign import Campaign
from landlord_test_target.faults.fault import LONGEST_RECOVERY, Fault
from landlord_test_target.faults.freezes import FROZEN
from landlord_test_target.faults.load import Load
from landlord_test_target.faults.recovery_times import RecoveryTimes
from landlord_test_target.faults.restate_state import RestateState

__all__ = ["LONGEST_ON_THE_WIRE", "Finding", "Judge"]

ENDED_BY_OTHERS = ("", "[409] killed", "[409] cancelled")
"""The failures of jobs that Landlord killed, or that a newer job preempted."""


EXCUSED_PER_FREEZE = 0.05
"""Excused late requests per freeze: a frozen worker's request may have waited for a connection or a lock."""

LONGEST_ANSWER = 10.0
"""Seconds in which a worker has to answer with a tenant's history."""

LONGEST_ON_THE_WIRE = 1.0
"""Seconds that a request may take between a worker and the target."""


@attrs.frozen(kw_only=True)
class Finding:
    """One fault that the judge found.

    Attributes:
        oracle: The kind of the fault: lost, wrong, doubled, left over, stuck, failed, not recorded,
            left in Restate, acted late or slow.
        late: Whether only the second check found it.
    """

    oracle: str
    tenant: str
    detail: str
    late: bool = False


@attrs.define(kw_only=True)
class Judge:
    """The judge, which compares the target, the records and the jobs once no job is open.

    Attributes:
        given_up: The tenants that Landlord itself set to failed.
        jobs: All jobs that Restate knows.
        preempted: The jobs that a newer one preempted.
        acted_late: How many requests came for a tenant that Landlord had shown as removed.
    """

    campaign: Campaign
    load: Load
    faults: list[Fault]
    given_up: list[str] = attrs.field(factory=list)
    jobs: Sequence[Mapping[str, object]] = ()
    preempted: list[str] = attrs.field(factory=list)
    ledger: list[dict[str, Any]] = attrs.field(factory=list)
    acted_late: int = 0

    @property
    def excused(self) -> int:
        """Return the number of excused late requests, from workers that froze after they had asked."""
        return int(EXCUSED_PER_FREEZE * sum(fault.kind == FROZEN for fault in self.faults))

    async def findings(self) -> list[Finding]:
        """Return the findings of two checks; between them every surviving request has time to end."""
        first = await self.find_faults()
        await asyncio.sleep(max(0.0, self._end_of_acts() - time()))
        second = [finding for finding in await self.find_faults() if finding not in first]
        return [*first, *(attrs.evolve(finding, late=True) for finding in second)]

    def _end_of_acts(self) -> float:
        """Return the time by which every request of a job or of a last resync has ended."""
        options, operations = self.campaign.options, self.load.operations
        ends = [max(operation.begun, operation.ended) for operation in operations] + [
            fault.recovered for fault in self.faults
        ]
        ends += [job.due for job in self.campaign.late_dispatcher.sent]
        return max(max(ends, default=0.0) + options.longest_life, time() + options.longest_act)

    async def find_faults(self) -> list[Finding]:
        """Return the findings of all oracles."""
        harness = self.campaign.harness
        self.given_up = []
        resources: dict[str, list[dict[str, Any]]] = {name: [] for name in self.load.tenants}
        for row in await harness.target.rows_of_all_tenants("resources"):
            resources.setdefault(row["tenant"], []).append(row)
        self.ledger = await harness.target.rows_of_all_tenants("ledger")
        self.jobs = await harness.admin.query(
            "SELECT id, status, completion_result, completion_failure FROM sys_invocation"
            f" WHERE target_service_name = '{harness.service}'"
        )
        remains = await RestateState.read(harness)
        findings: list[Finding] = []
        for tenant in self.load.tenants:
            record = (await self.campaign.landlord.get(tenant)).body
            findings += self._check_tenant(tenant, record, resources[tenant])
            locations = {(row["engine"], row["location"]) for row in resources[tenant]}
            findings += [
                Finding(oracle="left in Restate", tenant=tenant, detail=fault)
                for fault in remains.faults(tenant, locations)
                if tenant not in self.given_up
            ]
        findings += [
            Finding(
                oracle="stuck", tenant=str(row["target"]), detail=f"{row['id']} is {row['status']}"
            )
            for row in await self.campaign.open_jobs()
        ]
        findings += [
            Finding(oracle="failed", tenant="", detail=f"{job['id']}: {job['completion_failure']}")
            for job in self.jobs
            if job.get("completion_failure", "") not in ENDED_BY_OTHERS
        ]
        findings += await self._find_unrecorded()
        # A freeze between a worker's question to the backend and its request is rare, but possible.
        late = [finding for tenant in self.load.tenants for finding in self._find_late_acts(tenant)]
        self.acted_late = len(late)
        findings += late[self.excused :]
        return [*findings, *self._find_slow()]

    def _find_slow(self) -> Iterator[Finding]:
        for fault, operation, took in self.measure().after_one_kill():
            if took > LONGEST_RECOVERY:
                detail = f"{operation.kind} after {fault.kind}: {took}"
                yield Finding(oracle="slow", tenant=operation.tenant, detail=detail)

    def measure(self) -> RecoveryTimes:
        """Measure operations after kills; `find_faults` must have read the ledger."""
        return RecoveryTimes.group(self.faults, self.load.operations, self.ledger)

    def _check_tenant(
        self, tenant: str, record: Mapping[str, Any], rows: list[dict[str, Any]]
    ) -> Iterator[Finding]:
        status = record.get("status", "gone")
        resources = [
            (row["engine"], row["location"], json.loads(row["document"])["version"]) for row in rows
        ]
        config = record.get("desired_config", {})
        expected = tuple(config.get(key) for key in ("compute_provider", "location", "version"))
        detail = f"Landlord says {status} and wants {expected}, there is {resources}"
        oracle = ""
        if len(rows) > 1:
            oracle = "doubled"
        elif status == "failed":
            self.given_up.append(tenant)
        elif status == "ready":
            oracle = "" if resources == [expected] else "wrong" if rows else "lost"
        elif status in ("archived", "gone"):
            oracle = "left over" if rows else ""
        else:
            oracle = "stuck"
        if oracle:
            yield Finding(oracle=oracle, tenant=tenant, detail=detail)

    def _find_late_acts(self, tenant: str) -> Iterator[Finding]:
        """Find creates and updates that came after Landlord had shown the tenant as removed."""
        removed = [
            operation.ended
            for operation in self.load.operations
            if operation.tenant == tenant
            and operation.ended
            and operation.status in ("archived", "gone")
        ]
        for row in self.ledger if removed else ():
            changes = (row["call"], row["outcome"]) in (
                ("create", "received"),
                ("update", "received"),
            )
            after = row["at"] - min(removed)
            # A request that was in flight at the removal cannot be stopped.
            if changes and row["tenant"] == tenant and after > LONGEST_ON_THE_WIRE:
                detail = f"{row['call']} in {row['location']} {after:.1f} s after it was removed"
                yield Finding(oracle="acted late", tenant=tenant, detail=detail)

    async def _find_unrecorded(self) -> list[Finding]:
        """Find jobs that ended by themselves, had the lock, and are not in their tenant's history."""
        ended: set[str] = set()
        for tenant in self.load.tenants:
            history = await self._history(tenant)
            ended |= {
                str(transition["execution_id"]) for transition in history if transition["ended_at"]
            }
        missing = [
            str(job["id"])
            for job in self.jobs
            if job.get("completion_result") == "success" and job["id"] not in ended
        ]
        # A superseded job never had the lock, so no history has it.
        self.preempted = [job for job in missing if await self._outcome(job) == "superseded"]
        return [
            Finding(oracle="not recorded", tenant="", detail=job)
            for job in missing
            if job not in self.preempted
        ]

    async def _history(self, tenant: str) -> list[dict[str, Any]]:
        """Read a tenant's history from a worker; empty if no worker answers."""
        with suppress(TimeoutError):
            async with asyncio.timeout(LONGEST_ANSWER):
                return await self.campaign.harness.history(tenant)
        return []

    async def _outcome(self, job: str) -> str:
        url = f"{self.campaign.harness.restate.endpoint}/restate/invocation/{job}/output"
        async with self.campaign.harness.http.get(url) as response:
            answer = await response.json(content_type=None)
            outcome: str = answer["output"]["status"]
            return outcome

    async def timeline(self, finding: Finding) -> str:
        """List all that is known of a tenant, in order of time."""
        tenant = finding.tenant
        lines = [
            (
                operation.begun,
                f"{operation.kind} {operation.config}: {operation.status} at {operation.ended:.2f}",
            )
            for operation in self.load.operations
            if operation.tenant == tenant
        ]
        lines += [
            (fault.at, f"-- {fault.kind}, over at {fault.recovered:.2f}") for fault in self.faults
        ]
        lines += [
            (row["at"], f"target: {row['engine']} {row['location']} {row['call']} {row['outcome']}")
            for row in self.ledger
            if row["tenant"] == tenant
        ]
        first = min((at for at, line in lines if not line.startswith("--")), default=0.0)
        timeline = [f"{at:.2f} {line}" for at, line in sorted(lines) if at >= first]
        if tenant in self.load.tenants:
            timeline += [json.dumps(transition) for transition in await self._history(tenant)]
        title = f"{finding.oracle}{', later' if finding.late else ''}: {tenant} {finding.detail}"
        return "\n  ".join((title, *timeline))
