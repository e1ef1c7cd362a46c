"""A worker's exit code and time to exit, for each situation in which a signal may reach it.

`-s` prints the table of docs/reliability/load.md. `-m long` ends an idle worker a hundred times. A
worker that is idle, or waits for others, must not wait for the deadline. Only the long form requires
an exit within a second, because that depends on the machine.
"""

import asyncio
import signal
import sys
from collections.abc import Iterator
from time import monotonic
from typing import Any

import attrs
import pytest

from landlord_test_target.harness import Harness, Worker
from landlord_test_target.stalling_proxy import run_stalling_proxy

DRAIN = 30
"""The drain_timeout in seconds for tests that must end before it."""

SHORT = 2
"""The drain_timeout in seconds for tests that reach it."""

SOON = 15
"""Seconds in which a worker without work must exit, also on a busy machine."""

LATE = 10
"""Seconds that a busy machine may need beyond a deadline."""


@attrs.frozen(kw_only=True)
class Exit:
    """The result of a worker's exit."""

    code: int
    seconds: float


@attrs.define
class Matrix:
    """The rows of the table."""

    rows: list[str] = attrs.field(factory=list)

    async def drain_and_measure(
        self, situation: str, worker: Worker, *signals: int, drain: int = DRAIN, note: str = ""
    ) -> Exit:
        """Send the signals, each after the worker logged the one before, and measure the exit."""
        for number in signals[:-1]:
            worker.send_signal(number)
            await worker.wait_logged("draining")
        since = monotonic()
        worker.send_signal(signals[-1])
        end = Exit(code=await worker.wait_ended(120), seconds=monotonic() - since)
        # A shell shows death by a signal as 128 plus its number.
        exit_code = end.code if end.code >= 0 else 128 - end.code
        self.add_row(situation, drain, exit_code, f"{end.seconds:.2f} s", note)
        return end

    def add_row(self, *columns: object) -> None:
        self.rows.append(f"| {' | '.join(map(str, columns))} |")


@pytest.fixture(scope="module")
def matrix() -> Iterator[Matrix]:
    matrix = Matrix()
    yield matrix
    timings = ("`drain_timeout` (s)", "exit code", "signal to exit")
    head = ("situation at the signal", *timings, "observed")
    lines = (f"| {' | '.join(head)} |", "|---" * len(head) + "|", *matrix.rows)
    sys.stdout.write("\n" + "\n".join(lines) + "\n")


async def end_idle_workers(harness: Harness, times: int) -> list[Exit]:
    """Start a worker, run one job and end the worker, this many times."""
    exits = []
    config = harness.config(drain_timeout=f"{DRAIN}s", compute_provider="mock")
    for _ in range(times):
        worker = await (await harness.launch(config)).wait_registered()
        assert await harness.run(harness.tenant(), "provision", "mock") == "created"
        since = monotonic()
        exits.append(Exit(code=await worker.terminate(), seconds=monotonic() - since))
    return exits


@pytest.mark.parametrize("times", [5, pytest.param(100, marks=pytest.mark.long)])
async def test_an_idle_worker_ends_with_0_and_waits_for_nothing(
    harness: Harness, matrix: Matrix, times: int
) -> None:
    exits = await end_idle_workers(harness, times)

    seconds = sorted(end.seconds for end in exits)
    quick = sum(duration < 1 for duration in seconds)
    spread = f"{seconds[len(seconds) // 2]:.2f} s, at most {seconds[-1]:.2f} s"
    matrix.add_row("idle, after a job", DRAIN, 0, spread, f"{quick} of {times} within a second")
    assert {end.code for end in exits} == {0}
    assert seconds[-1] < SOON
    assert times < 100 or quick == times


@pytest.mark.parametrize(("kind", "delay"), [("quick", 0.3), ("slow", 3.0)])
async def test_steps_in_flight_end_and_their_jobs_continue_on_another_worker(
    harness: Harness, matrix: Matrix, kind: str, delay: float
) -> None:
    worker = await harness.worker(drain_timeout=f"{DRAIN}s")
    tenants = [harness.tenant() for _ in range(10)]
    for tenant in tenants:
        await harness.target.set_fault(tenant, "create", delay_before=delay)
    jobs = [await harness.send(tenant, "provision", version=1) for tenant in tenants]
    await asyncio.gather(*(harness.target.wait_called(tenant, "create") for tenant in tenants))

    situation, observed = f"ten {kind} steps ({delay} s) in flight", "all ended, none was repeated"
    end = await matrix.drain_and_measure(situation, worker, signal.SIGTERM, note=observed)

    assert (end.code, end.seconds < SOON) == (0, True)
    assert not any(line["message"] == "step cancelled" for line in worker.log_lines())
    await harness.restart(worker)
    for job, tenant in zip(jobs, tenants, strict=True):
        assert (await harness.wait_done(job))["output"]["status"] == "created"
        assert len(await harness.target.ledger(tenant, "create")) == 1


async def start_hung_job(harness: Harness, **options: Any) -> tuple[Worker, str, str]:
    """Start a worker and a job whose call the target does not answer; return both and the tenant."""
    worker = await harness.worker(**options)
    tenant = harness.tenant()
    await harness.target.set_fault(tenant, "create", hold=1)
    job = await harness.send(tenant, "provision", version=1)
    await harness.target.wait_called(tenant, "create")
    return worker, tenant, job


async def test_a_hung_step_is_cancelled_at_the_deadline_and_completed_by_another_worker(
    harness: Harness, matrix: Matrix
) -> None:
    worker, tenant, job = await start_hung_job(harness, drain_timeout=f"{SHORT}s")

    situation, observed = (
        "a hung step in flight",
        "cancelled and named; another worker ended it: one resource",
    )
    end = await matrix.drain_and_measure(
        situation, worker, signal.SIGTERM, drain=SHORT, note=observed
    )
    await harness.restart(worker)
    await harness.target.wait_called(tenant, "create", 2)
    await harness.target.set_fault(tenant, "create", hold=0)

    assert end.code == 0
    assert SHORT <= end.seconds < SHORT + LATE
    (event,) = await worker.wait_logged("step cancelled")
    assert (event["step"], event["tenant"], event["execution_id"]) == ("apply", tenant, job)
    await worker.wait_logged("requests to targets were cut at the drain's deadline")
    await harness.wait_done(job)
    assert len(await harness.target.resources(tenant)) == 1
    # The target handled both requests: one created the resource, the other found it.
    assert len(await harness.target.ledger(tenant, "create", "201")) == 1
    assert len(await harness.target.ledger(tenant, "create", "409")) == 1


@pytest.mark.parametrize("second", [signal.SIGTERM, signal.SIGINT])
async def test_a_second_signal_ends_a_worker_that_drains_at_once(
    harness: Harness, matrix: Matrix, second: signal.Signals
) -> None:
    worker, tenant, job = await start_hung_job(harness, drain_timeout=f"{DRAIN}s")

    situation, observed = (
        f"a hung step in flight, a second signal ({second.name})",
        "another worker ended it",
    )
    end = await matrix.drain_and_measure(situation, worker, signal.SIGTERM, second, note=observed)
    await harness.restart(worker)
    await harness.target.set_fault(tenant, "create", hold=0)

    assert (end.code, end.seconds < SOON) == (1, True)
    await harness.wait_done(job)
    assert len(await harness.target.resources(tenant)) == 1


async def test_a_drain_does_not_wait_for_a_held_job(harness: Harness, matrix: Matrix) -> None:
    worker = await harness.worker(drain_timeout=f"{DRAIN}s")
    held = await harness.send(harness.tenant(), "provision", version=13)
    await harness.wait_held(held, "must not be 13")

    situation, observed = "a held job", "the job stays held"
    end = await matrix.drain_and_measure(situation, worker, signal.SIGTERM, note=observed)

    assert (end.code, end.seconds < SOON) == (0, True)
    assert (await harness.wait_row(held))["status"] in ("backing-off", "running", "scheduled")
    await harness.dispatcher.kill(held)


async def test_a_signal_before_the_worker_listens_ends_it(harness: Harness, matrix: Matrix) -> None:
    config = harness.config(drain_timeout=f"{DRAIN}s")
    worker = await harness.launch(config, "--log-level=debug")
    await worker.wait_logged("engine state", now="starting")

    end = await matrix.drain_and_measure(
        "the worker starts, and does not listen yet", worker, signal.SIGTERM
    )

    assert (end.code, end.seconds < SOON) == (0, True)


async def test_a_signal_before_the_settings_are_read_has_its_default_action(
    harness: Harness, matrix: Matrix
) -> None:
    worker = Worker(config=harness.config(), folder=harness.folder, may_fork=False)
    harness.workers.append(await worker.start())

    end = await matrix.drain_and_measure(
        "Python starts", worker, signal.SIGTERM, note="ended by the system: nothing was begun"
    )

    assert (end.code, end.seconds < SOON) == (-signal.SIGTERM, True)


@pytest.mark.parametrize("when", ["registering", "watching"])
async def test_a_drain_does_not_wait_for_an_admin_api_that_does_not_answer(
    harness: Harness, matrix: Matrix, when: str
) -> None:
    async with run_stalling_proxy(
        harness.restate.admin_endpoint, silent=when == "registering"
    ) as admin:
        config = harness.config(drain_timeout=f"{DRAIN}s")
        config["workflow"]["restate"]["admin_endpoint"] = admin.url
        worker = await harness.launch(config)
        if when == "watching":
            await worker.wait_registered()
            admin.silent = True
        await asyncio.wait_for(admin.request_ignored.wait(), 30)

        situation = f"{when}, and the admin API does not answer"
        end = await matrix.drain_and_measure(situation, worker, signal.SIGTERM)

    assert (end.code, end.seconds < SOON) == (0, True)
