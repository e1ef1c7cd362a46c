"""``status`` and ``history`` show the jobs that have not ended."""

from typing import Any

import pytest

from landlord_test_target.harness import Harness, wait_for

ODD = "ünï 'x' (50%) a_b"


async def wait_open_job(harness: Harness, tenant: str, state: str) -> dict[str, Any]:
    """Wait until the only open job is in this state, and return it."""

    async def check() -> dict[str, Any] | None:
        jobs: list[dict[str, Any]] = (await harness.status(tenant))["jobs"]
        return jobs[0] if [job["state"] for job in jobs] == [state] else None

    open_job = await wait_for(check)
    assert open_job is not None
    return open_job


@pytest.mark.parametrize("name", ["", ODD])
async def test_a_job_that_is_held_before_it_has_the_lock_is_shown(
    harness: Harness, name: str
) -> None:
    worker = await harness.worker(hold_retry_interval="30s")
    tenant = name + harness.tenant()
    job = await harness.send(tenant, "provision", "nomad", version=1)

    held = await wait_open_job(harness, tenant, "held")

    assert (held["execution_id"], held["code"]) == (job, "LE402")
    assert "'nomad' is not configured" in held["reason"]
    assert held["since"] < held["next_try_at"]
    row = await harness.wait_row(job)
    assert "LE402" in row["last_failure"]
    (line,) = (entry for entry in worker.log_lines() if entry["message"] == "step refused")
    assert line["code"] == "LE402"


async def test_a_job_held_while_it_has_the_lock_is_shown_in_the_history_too(
    harness: Harness,
) -> None:
    await harness.worker(hold_retry_interval="30s")
    tenant = harness.tenant()
    await harness.run(tenant, "provision", version=1)
    await harness.target.set_fault(tenant, "update", refuse=-1)
    job = await harness.send(tenant, "update", version=2)

    held = await wait_open_job(harness, tenant, "held")

    assert held["execution_id"] == job
    before, now = await harness.history(tenant)
    assert "job" not in before
    assert (now["outcome"], now["job"]["state"], now["job"]["code"]) == ("", "held", "LE402")


async def test_retried_and_running_jobs_are_shown_differently(harness: Harness) -> None:
    await harness.worker()
    tenant, other = harness.tenant(), harness.tenant()
    await harness.target.set_fault(tenant, "create", fail=-1)
    await harness.target.set_fault(other, "create", delay_before=3.0)
    await harness.send(tenant, "provision", version=1)
    await harness.send(other, "provision", version=1)
    await harness.target.wait_called(other, "create")

    running, retried = (
        await wait_open_job(harness, other, "running"),
        await wait_open_job(harness, tenant, "retrying"),
    )

    assert (running["code"], running["reason"]) == ("", "")
    assert retried["code"] == "LE403"
    assert retried["attempts"] >= 1
    (transition,) = await harness.history(other)
    assert transition["job"]["state"] == "running"
