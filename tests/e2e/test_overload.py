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

BACK_WITHIN = 1.0
"""Seconds in which a waiter that has left the queue is back, as a rule."""

_WAITING = "landlord_worker_slots_waiting "


@attrs.define(kw_only=True)
class Jobs:
    """The jobs of a worker in Restate.

    Attributes:
        away: The seconds of each absence of a job from the queue.
    """

    harness: Harness
    away: list[float] = attrs.field(factory=list)
    _since: dict[str, float] = attrs.field(factory=dict)

    async def have_ended(self) -> bool:
        """Check whether all jobs have ended, and record the ones that wait for their next attempt."""
        sql = (
            "SELECT id, status FROM sys_invocation"
            f" WHERE target_service_name = '{self.harness.service}' AND status <> 'completed'"
        )
        rows, now = await self.harness.admin.query(sql), monotonic()
        away = {str(row["id"]) for row in rows if row["status"] == "backing-off"}
        self.away += [now - self._since.pop(job) for job in self._since.keys() - away]
        self._since |= dict.fromkeys(away - self._since.keys(), now)
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
    ghosts = set(tenants[-count // 10 :])
    killed = sent[-count // 10 :]
    for job in killed:
        await harness.admin.kill(job)

    jobs = Jobs(harness=harness)
    await wait_for(jobs.have_ended, 60 + 3 * act * count / limit)

    assert jobs.away, "no waiter left the queue"
    assert median(jobs.away) <= BACK_WITHIN
    rows = [
        row for row in await harness.target.rows_of_all("ledger") if row["tenant"] in set(tenants)
    ]
    steps = [line for line in worker.log_lines() if line["message"].startswith("step ")]
    assert {line["execution_id"] for line in steps if line["message"] == "step cancelled"} <= set(
        killed
    )
    failed = [line for line in steps if line["message"] != "step cancelled"]
    # On a busy machine a call may reach its deadline. A waiting job has no deadline.
    assert [line for line in failed if not _has_acted(line, rows, STEP_TIMEOUT / scale)] == []
    asked = [row["tenant"] for row in rows if (row["call"], row["outcome"]) == ("create", "asked")]
    assert set(asked) == set(tenants) - ghosts
    again = {tenant for tenant, times in Counter(asked).items() if times > 1}
    assert again <= {line["tenant"] for line in failed}, "a create was cut and sent again"
    assert _count_simultaneous(rows) <= limit
    text = await _metrics(harness, address)
    assert "landlord_worker_slots_used 0.0" in text


def _has_acted(line: Mapping[str, Any], rows: Sequence[Mapping[str, Any]], timeout: float) -> bool:
    """Check whether the failed step had a slot, and so had called the target."""
    failed = datetime.fromisoformat(line["timestamp"]).timestamp()
    asked = (row["at"] for row in rows if row["tenant"] == line["tenant"])
    return any(failed - timeout - 1 < at < failed for at in asked)


async def _wait_many_waiting(harness: Harness, address: str, count: int) -> None:
    async def look() -> bool:
        text = await _metrics(harness, address)
        (line,) = (sample for sample in text.splitlines() if sample.startswith(_WAITING))
        return float(line.removeprefix(_WAITING)) >= count

    await wait_for(look)


async def _metrics(harness: Harness, address: str) -> str:
    async with harness.http.get(f"http://{address}/metrics") as response:
        return await response.text()


def _count_simultaneous(rows: Sequence[dict[str, Any]]) -> int:
    """Return the highest number of simultaneous creates on the target."""
    creates = [row for row in rows if row["call"] == "create"]
    changes = sorted((row["at"], 1 if row["outcome"] == "asked" else -1) for row in creates)
    now = peak = 0
    for _, change in changes:
        now += change
        peak = max(peak, now)
    return peak
