"""A job that kills its worker at each attempt is set apart; a harmless job is delayed once."""

import asyncio
import re
import signal
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from datetime import datetime
from typing import Any

import aiohttp
import attrs
import pytest

from landlord_test_target.balancer import run_balancer
from landlord_test_target.engine import FIRST_PAUSE, NO_KILL
from landlord_test_target.harness import Harness, Worker, wait_for

PAUSE = 1.0
APART = "set apart, and tried again alone in"

DEADLY = 15
"""A version that kills the worker."""


@attrs.define
class Supervisor:
    """A supervisor that restarts a worker whenever it ends, as Kubernetes does."""

    harness: Harness
    config: Mapping[str, Any]
    environment: dict[str, str] = attrs.field(factory=lambda: {FIRST_PAUSE: str(PAUSE)})
    workers: list[Worker] = attrs.field(factory=list)

    async def run(self) -> None:
        while True:
            worker = await self.harness.launch(self.config, **self.environment)
            self.workers.append(worker)
            await worker.wait_ended(600)

    @property
    def deaths(self) -> int:
        return sum(1 for worker in self.workers if not worker.is_running)

    def lines(self, message: str, job: str) -> list[dict[str, Any]]:
        lines = [line for worker in self.workers for line in worker.log_lines()]
        return [
            line for line in lines if line["message"] == message and line.get("execution_id") == job
        ]


@asynccontextmanager
async def supervise(harness: Harness, config: Mapping[str, Any]) -> AsyncIterator[Supervisor]:
    supervisor = Supervisor(harness, config)
    task = asyncio.create_task(supervisor.run())
    try:
        yield supervisor
    finally:
        task.cancel()


async def failures(harness: Harness, job: str) -> list[str]:
    """Read the failures that Restate keeps of a job's attempts."""
    query = f"SELECT event_json FROM sys_journal_events WHERE id = '{job}' ORDER BY appended_at"
    return [str(row["event_json"]) for row in await harness.admin.query(query)]


async def wait_set_apart(harness: Harness, job: str, pause: float) -> None:
    """Wait until a job was set apart for this long."""

    async def check() -> bool:
        return any(f"{APART} {pause:g} s" in failure for failure in await failures(harness, job))

    await wait_for(check, within=120)


async def wait_ended(harness: Harness, job: str) -> dict[str, Any]:
    """Wait for the answer of a job that may need several workers."""

    async def check() -> bool:
        return bool((await harness.wait_row(job))["status"] == "completed")

    await wait_for(check, within=120)
    return await harness.wait_done(job)


@pytest.mark.long
async def test_a_job_that_kills_its_worker_waits_longer_each_time_and_others_continue(
    harness: Harness, http: aiohttp.ClientSession
) -> None:
    tenant = harness.tenant()
    async with supervise(harness, harness.config()) as supervisor:
        await wait_for(lambda: _is_registered(supervisor))
        deadly = await harness.send(tenant, "provision", version=DEADLY)
        await wait_set_apart(harness, deadly, PAUSE)

        # The worker runs during the pause. If it dies later, its other jobs continue on the next worker.
        others = [harness.tenant() for _ in range(5)]
        for job in [await harness.send(other, "provision", version=1) for other in others]:
            await wait_ended(harness, job)
        assert [len(await harness.target.resources(other)) for other in others] == [1] * 5
        await wait_set_apart(harness, deadly, 4 * PAUSE)
        async with http.get(f"{supervisor.workers[-1].probe_url}/metrics") as response:
            text = await response.text()
        supervisor.environment[NO_KILL] = "1"
        await supervisor.workers[-1].kill()
        await wait_ended(harness, deadly)

        lines = supervisor.lines("job set apart", deadly)
        counts = [line["lost_attempts"] for line in lines]
        assert counts == list(range(3, 3 + len(lines)))
        assert [line["pause"] for line in lines] == [PAUSE * 2 ** (count - 3) for count in counts]
        assert {line["tenant"] for line in lines} == {tenant}
        # A worker that the job kills may lose its last line.
        tried = {
            line["lost_attempts"]: line
            for line in supervisor.lines("job that was set apart is tried by itself", deadly)
        }
        waited = [
            (_seconds(line, tried[line["lost_attempts"]]), line["pause"])
            for line in lines
            if line["lost_attempts"] in tried
        ]
        assert waited
        assert all(seconds >= pause for seconds, pause in waited)
        # Each attempt costs one worker; the test itself ended the last one.
        assert supervisor.deaths <= counts[-1] + 1

    assert re.search(r"^landlord_worker_jobs_set_apart 1\.0$", text, re.MULTILINE)
    assert re.search(r"^landlord_worker_attempts_lost_total [1-9]", text, re.MULTILINE)
    (transition,) = await harness.wait_ended(tenant, 1)
    assert transition["detail"] == (
        f"its worker had ended during the job {counts[-1]} times in a row"
    )
    assert len(await harness.target.resources(tenant)) == 1


@pytest.mark.long
async def test_a_harmless_job_that_lost_its_worker_as_often_ends_after_one_pause(
    harness: Harness,
) -> None:
    slow = harness.tenant()
    await harness.target.set_fault(slow, "inspect", delay_before=4.0)
    async with supervise(harness, harness.config()) as supervisor:
        await wait_for(lambda: _is_registered(supervisor))
        innocent = await harness.send(slow, "provision", version=1)
        for kills in (1, 2, 3):
            await harness.target.wait_called(slow, "inspect", kills)
            await supervisor.workers[-1].kill()
        await wait_set_apart(harness, innocent, PAUSE)
        await harness.target.set_fault(slow, "inspect")

        await wait_ended(harness, innocent)

        (line,) = supervisor.lines("job set apart", innocent)
        assert (line["lost_attempts"], line["pause"]) == (3, PAUSE)


@pytest.mark.long
async def test_a_harmless_job_killed_along_with_a_deadly_one_ends_first(
    harness: Harness,
) -> None:
    slow = harness.tenant()
    await harness.target.set_fault(slow, "inspect", delay_before=1.0)
    async with supervise(harness, harness.config()) as supervisor:
        await wait_for(lambda: _is_registered(supervisor))
        innocent = await harness.send(slow, "provision", version=1)
        await harness.target.wait_called(slow, "inspect")
        deadly = await harness.send(harness.tenant(), "provision", version=DEADLY)

        await wait_ended(harness, innocent)

        assert (await harness.wait_row(deadly))["status"] != "completed"
        assert len(supervisor.lines("job set apart", innocent)) <= 1
        await harness.dispatcher.kill(deadly)


@pytest.mark.long
async def test_behind_one_address_each_try_costs_one_worker_and_not_all(harness: Harness) -> None:
    configs = [harness.config(), harness.config()]
    addresses = [config["workflow"]["restate"]["worker_address"] for config in configs]
    async with (
        run_balancer(addresses) as proxy,
        supervise(harness, _with_advertised_url(configs[0], proxy.url)) as first,
        supervise(harness, _with_advertised_url(configs[1], proxy.url)) as second,
    ):
        await wait_for(lambda: _is_registered(first))
        await wait_for(lambda: _is_registered(second))
        deadly = await harness.send(harness.tenant(), "provision", version=DEADLY)

        await wait_set_apart(harness, deadly, 2 * PAUSE)

        # Each attempt costs one worker. Restate may not have recorded the last one yet.
        lines = first.lines("job set apart", deadly) + second.lines("job set apart", deadly)
        lost = max(line["lost_attempts"] for line in lines)
        assert first.deaths + second.deaths <= lost + 1
        await harness.dispatcher.kill(deadly)


async def test_restate_learns_no_path_of_the_worker(harness: Harness) -> None:
    worker = await harness.worker()
    deadly = await harness.send(harness.tenant(), "provision", version=DEADLY)
    assert await worker.wait_ended() == -signal.SIGKILL
    again = await harness.launch(worker.config)
    assert await again.wait_ended() == -signal.SIGKILL

    kept = await failures(harness, deadly)
    assert [failure for failure in kept if "LE408: the worker ended during this job" in failure]
    assert not [failure for failure in kept if ".py" in failure]
    await harness.dispatcher.kill(deadly)


async def _is_registered(supervisor: Supervisor) -> bool:
    return any(
        line["message"] == "registration changed" and line.get("state") == "registered"
        for worker in supervisor.workers
        for line in worker.log_lines()
    )


def _with_advertised_url(config: Mapping[str, Any], url: str) -> dict[str, Any]:
    restate = {**config["workflow"]["restate"], "worker_advertised_url": url}
    return {**config, "workflow": {"restate": restate}}


def _seconds(first: Mapping[str, Any], then: Mapping[str, Any]) -> float:
    at, later = (datetime.fromisoformat(line["timestamp"]) for line in (first, then))
    return (later - at).total_seconds()
