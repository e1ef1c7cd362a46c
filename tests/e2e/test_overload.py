"""With many more jobs than slots, no deadline runs while a job waits, and the slots stay a limit."""

from collections import Counter
from collections.abc import Mapping, Sequence
from datetime import datetime
from statistics import median
from time import monotonic
from typing import Any

import attrs
import pytest

from landlord_test_target.harness import Harness, wait_for

ACT = 60.0
"""Seconds that a create takes, before they are scaled."""

STEP_TIMEOUT = 300.0
"""The worker's step_timeout in seconds: its default, scaled by the same factor as the act.

With a shorter timeout thousands of waiters would leave the queue and enter it again each second. No
real worker has that load.
"""

MOST = 50

LONGEST_ABSENCE = 1.0
"""Limit for the median of the seconds after which a job that left the queue enters it again."""

_WAITING = "landlord_worker_slots_waiting "


@attrs.define(kw_only=True)
class Jobs:
    """The jobs of a worker in Restate.

    Attributes:
        absences: The seconds of each absence of a job from the queue of slots.
    """

    harness: Harness
    absences: list[float] = attrs.field(factory=list)
    _since: dict[str, float] = attrs.field(factory=dict)

    async def have_ended(self) -> bool:
        """Check whether all jobs have ended, and record the ones that wait for their next attempt."""
        sql = (
            "SELECT id, status FROM sys_invocation"
            f" WHERE target_service_name = '{self.harness.service}' AND status <> 'completed'"
        )
        rows, now = await self.harness.admin.query(sql), monotonic()
        absences = {str(row["id"]) for row in rows if row["status"] == "backing-off"}
        self.absences += [now - self._since.pop(job) for job in self._since.keys() - absences]
        self._since |= dict.fromkeys(absences - self._since.keys(), now)
        return not rows


@pytest.mark.long
async def test_with_far_more_jobs_than_slots_none_times_out_and_no_ended_attempt_has_a_slot(
    harness: Harness, pytestconfig: pytest.Config
) -> None:
    count = pytestconfig.getoption("--overload")
    limit = min(MOST, count // 12)
    scale = 50 if count < 500 else 10
    act = ACT / scale
    config = harness.config(
        max_concurrent_jobs=limit, step_timeout=f"{STEP_TIMEOUT / scale}s", resync_after="0s"
    )
    # The timeout is as long as a call, because an abandoned call would continue without a slot.
    config["compute"]["target"]["longest_carry"] = 2 * act
    worker = await (await harness.launch(config)).wait_registered()
    tenants = [harness.tenant() for _ in range(count)]
    for tenant in tenants:
        await harness.target.set_fault(tenant, "create", delay_before=act)
    sent = [await harness.send(tenant, "provision", version=1) for tenant in tenants]
    address = worker.config["worker"]["probe_address"]
    await _wait_many_waiting(harness, address, count // 2)
    killed_tenants = set(tenants[-count // 10 :])
    killed = sent[-count // 10 :]
    for job in killed:
        await harness.admin.kill(job)

    jobs = Jobs(harness=harness)
    await wait_for(jobs.have_ended, 60 + 3 * act * count / limit)

    assert jobs.absences, "no waiter left the queue"
    assert median(jobs.absences) <= LONGEST_ABSENCE
    rows = [
        row
        for row in await harness.target.rows_of_all_tenants("ledger")
        if row["tenant"] in set(tenants)
    ]
    steps = [line for line in worker.log_lines() if line["message"].startswith("step ")]
    assert {line["execution_id"] for line in steps if line["message"] == "step cancelled"} <= set(
        killed
    )
    failed = [line for line in steps if line["message"] != "step cancelled"]
    # On a busy machine a call may reach its deadline. A waiting job has no deadline.
    assert [line for line in failed if not _has_acted(line, rows, STEP_TIMEOUT / scale)] == []
    tenants_asked = [
        row["tenant"] for row in rows if (row["call"], row["outcome"]) == ("create", "received")
    ]
    assert set(tenants_asked) == set(tenants) - killed_tenants
    repeated = {tenant for tenant, times in Counter(tenants_asked).items() if times > 1}
    assert repeated <= {line["tenant"] for line in failed}, "a create was cut and sent again"
    assert _count_simultaneous(rows) <= limit
    text = await _metrics(harness, address)
    assert "landlord_worker_slots_used 0.0" in text


def _has_acted(line: Mapping[str, Any], rows: Sequence[Mapping[str, Any]], timeout: float) -> bool:
    """Check whether the failed step had a slot, and so had called the target."""
    failed = datetime.fromisoformat(line["timestamp"]).timestamp()
    times = (row["at"] for row in rows if row["tenant"] == line["tenant"])
    return any(failed - timeout - 1 < at < failed for at in times)


async def _wait_many_waiting(harness: Harness, address: str, count: int) -> None:
    async def check() -> bool:
        text = await _metrics(harness, address)
        (line,) = (sample for sample in text.splitlines() if sample.startswith(_WAITING))
        return float(line.removeprefix(_WAITING)) >= count

    await wait_for(check)


async def _metrics(harness: Harness, address: str) -> str:
    async with harness.http.get(f"http://{address}/metrics") as response:
        return await response.text()


def _count_simultaneous(rows: Sequence[dict[str, Any]]) -> int:
    """Return the highest number of simultaneous creates on the target."""
    creates = [row for row in rows if row["call"] == "create"]
    changes = sorted((row["at"], 1 if row["outcome"] == "received" else -1) for row in creates)
    now = peak = 0
    for _, change in changes:
        now += change
        peak = max(peak, now)
    return peak
