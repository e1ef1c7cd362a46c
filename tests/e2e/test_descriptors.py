"""With many more jobs than file descriptors all jobs end, probes answer, and the log stays short."""

import asyncio
import resource
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from time import monotonic

import pytest

from landlord_test_target.harness import Harness, Worker, wait_for

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="prlimit is Linux'")

LONGEST_LOG = 5_000_000
"""Maximum bytes of a worker's log."""


async def launch(harness: Harness, soft: int, hard: int, worker: Worker | None = None) -> Worker:
    """Start a worker with these limits of open files, set before the worker reads them."""
    config = worker.config if worker is not None else harness.config(compute_provider="mock")
    started = await harness.launch(config)
    assert started.process is not None
    resource.prlimit(started.process.pid, resource.RLIMIT_NOFILE, (soft, hard))
    return await started.wait_registered()


@asynccontextmanager
async def check_liveness(harness: Harness, worker: Worker) -> AsyncIterator[None]:
    """Check each second that the worker answers its liveness probe within a second."""
    answers: list[int] = []

    async def probe() -> None:
        while True:
            began = monotonic()
            async with (
                asyncio.timeout(10),
                harness.http.get(f"{worker.probe_url}/livez") as response,
            ):
                answers.append(response.status)
            await asyncio.sleep(max(0.0, 1.0 - (monotonic() - began)))

    probing = asyncio.create_task(probe())
    try:
        yield
    finally:
        probing.cancel()
        await asyncio.wait((probing,))
    assert probing.cancelled(), "a probe had no answer in time"
    assert answers
    assert set(answers) == {200}


async def send_jobs(harness: Harness, count: int) -> None:
    for _ in range(count // 50):
        await asyncio.gather(*(harness.send(harness.tenant(), "provision") for _ in range(50)))


async def wait_all_done(harness: Harness, count: int) -> None:
    sql = (
        "SELECT status, completion_result FROM sys_invocation"
        f" WHERE target_service_name = '{harness.service}'"
    )

    async def check() -> bool:
        rows = await harness.admin.query(sql)
        assert len(rows) >= count
        return all(row["status"] == "completed" for row in rows)

    await wait_for(check, 60 + count / 5)
    rows = await harness.admin.query(sql)
    assert {row["completion_result"] for row in rows} == {"success"}


@pytest.mark.parametrize("files", [256, pytest.param(400, marks=pytest.mark.long)])
async def test_at_a_low_hard_limit_all_jobs_are_done_and_the_worker_is_alive(
    harness: Harness, files: int, pytestconfig: pytest.Config
) -> None:
    count = pytestconfig.getoption("--burst")
    worker = await launch(harness, files, files)

    async with check_liveness(harness, worker):
        await send_jobs(harness, count)
        await wait_all_done(harness, count)

    assert worker.log.stat().st_size < LONGEST_LOG
    await worker.wait_logged("open files", limit=files)
    assert "cannot be accepted" not in worker.log_text()


async def test_jobs_that_wait_for_a_worker_with_a_low_soft_limit_are_all_done(
    harness: Harness, pytestconfig: pytest.Config
) -> None:
    count = pytestconfig.getoption("--burst")
    first = await launch(harness, 256, 4096)
    await first.terminate()
    await send_jobs(harness, count)

    worker = await launch(harness, 256, 4096, first)
    assert worker.process is not None
    raised = resource.prlimit(worker.process.pid, resource.RLIMIT_NOFILE)
    async with check_liveness(harness, worker):
        await wait_all_done(harness, count)
        await asyncio.sleep(0.1)

    assert raised == (4096, 4096)
    assert worker.log.stat().st_size < LONGEST_LOG
