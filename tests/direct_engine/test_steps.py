"""The example's steps order the jobs of a tenant, and report a killed job as ended."""

import asyncio
from collections.abc import Iterator
from contextlib import AbstractAsyncContextManager, closing
from pathlib import Path

import attrs
import pytest

from landlord_engine_direct.steps import DirectSteps
from landlord_engine_direct.store import JobState, Store
from landlord_engines_core.errors import ExecutionEnded, Superseded
from landlord_engines_core.models import JobStart, Transition


@attrs.define
class RecordingJobs:
    """The jobs of a process that runs none of them, and only records which ones were stopped."""

    lock: asyncio.Lock = attrs.field(factory=asyncio.Lock)
    stopped: list[int] = attrs.field(factory=list)

    def acquisition_lock(self, tenant: str) -> AbstractAsyncContextManager[None]:
        _ = tenant
        return self.lock

    async def stop(self, job_id: int) -> None:
        self.stopped.append(job_id)


@attrs.define
class JobsFile:
    """A file with jobs of one tenant, and Landlord's answer about that tenant."""

    store: Store
    process: RecordingJobs = attrs.field(factory=RecordingJobs)
    landlord_answer: bool | None = None

    def send(self) -> DirectSteps:
        return DirectSteps(
            job_id=self.store.send(b"{}"),
            store=self.store,
            jobs=self.process,
            is_desired=self.is_desired,
        )

    async def is_desired(self, tenant: str) -> bool | None:
        _ = tenant
        return self.landlord_answer

    async def end_job(self, steps: DirectSteps, operation: str) -> None:
        """Acquire the lock with an operation, and write the end of the job."""
        await steps.acquire("t", job_start(operation))
        done = Transition(
            execution_id=steps.execution_id, operation=operation, started_at="t", ended_at="t"
        )
        await steps.complete("t", done)
        self.store.mark(steps.job_id, JobState.COMPLETED)


def job_start(operation: str = "update") -> JobStart:
    return JobStart(operation=operation, started_at="t", is_uuid=True)


@pytest.fixture
def jobs_file(tmp_path: Path) -> Iterator[JobsFile]:
    with closing(Store(tmp_path / "jobs.db")) as store:
        yield JobsFile(store)


async def test_a_younger_job_takes_the_lock_and_the_older_one_loses_it(jobs_file: JobsFile) -> None:
    older, younger = jobs_file.send(), jobs_file.send()
    await older.acquire("t", job_start())

    await younger.acquire("t", job_start())

    assert jobs_file.process.stopped == [older.job_id]
    for call in (older.read_record("t"), older.acquire("t", job_start())):
        with pytest.raises(Superseded) as raised:
            await call
        # This error ends a switch without a rollback. ExecutionEnded alone would not.
        assert not isinstance(raised.value, ExecutionEnded)
    assert (await younger.read_record("t")).transitions


async def test_a_job_that_acquires_its_lock_again_stops_no_other_job(jobs_file: JobsFile) -> None:
    job = jobs_file.send()
    await job.acquire("t", job_start())

    await job.acquire("t", job_start())

    assert jobs_file.process.stopped == []


async def test_a_job_that_was_killed_sees_that_it_has_ended(jobs_file: JobsFile) -> None:
    job = jobs_file.send()
    await job.acquire("t", job_start())
    await job.read_record("t")

    jobs_file.store.mark(job.job_id, JobState.KILLED)

    with pytest.raises(ExecutionEnded):
        await job.read_record("t")


async def test_a_job_that_was_killed_supersedes_none(jobs_file: JobsFile) -> None:
    older, younger = jobs_file.send(), jobs_file.send()
    await younger.acquire("t", job_start())
    jobs_file.store.mark(younger.job_id, JobState.KILLED)

    await older.read_record("t")
    await older.acquire("t", job_start())

    assert jobs_file.process.stopped == [younger.job_id]


async def test_a_job_that_has_ended_supersedes_an_older_one(jobs_file: JobsFile) -> None:
    older, younger = jobs_file.send(), jobs_file.send()
    await jobs_file.end_job(younger, "update")

    for call in (older.read_record("t"), older.acquire("t", job_start())):
        with pytest.raises(Superseded):
            await call


@pytest.mark.parametrize(
    ("landlord_answer", "acquires"), [(True, True), (False, False), (None, True)]
)
async def test_after_a_delete_a_job_continues_only_if_landlord_wants_the_tenant(
    jobs_file: JobsFile, *, landlord_answer: bool | None, acquires: bool
) -> None:
    delete, job = jobs_file.send(), jobs_file.send()
    await jobs_file.end_job(delete, "delete")
    jobs_file.landlord_answer = landlord_answer

    if acquires:
        await job.acquire("t", job_start("provision"))
    else:
        with pytest.raises(Superseded):
            await job.acquire("t", job_start("provision"))


@pytest.mark.parametrize(
    ("landlord_answer", "acquires"), [(True, False), (False, True), (None, True)]
)
async def test_an_older_delete_is_superseded_only_if_landlord_wants_the_tenant(
    jobs_file: JobsFile, *, landlord_answer: bool | None, acquires: bool
) -> None:
    delete, job = jobs_file.send(), jobs_file.send()
    await jobs_file.end_job(job, "provision")
    jobs_file.landlord_answer = landlord_answer

    if acquires:
        await delete.acquire("t", job_start("delete"))
    else:
        with pytest.raises(Superseded):
            await delete.acquire("t", job_start("delete"))


async def test_an_older_delete_that_wins_keeps_its_lock(jobs_file: JobsFile) -> None:
    delete, job = jobs_file.send(), jobs_file.send()
    await jobs_file.end_job(job, "provision")
    await jobs_file.end_job(delete, "delete")

    assert jobs_file.store.lock("t").job == delete.job_id


def test_a_missing_row_has_not_ended(jobs_file: JobsFile) -> None:
    assert not jobs_file.store.has_ended(7)
