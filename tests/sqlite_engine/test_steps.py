"""The example's steps keep the order of jobs, a journal, and the leases."""

import asyncio
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import attrs
import pytest

from landlord_engine_sqlite.steps import ResyncSteps, SqliteSteps
from landlord_engine_sqlite.store import Job, Store
from landlord_engines_core.errors import EngineFailed, ExecutionEnded, StillRunning, Superseded
from landlord_engines_core.models import (
    CompletedJob,
    FollowUp,
    JobStart,
    Placement,
    Transition,
)
from landlord_engines_core.steps import NONE_LOST
from landlord_engines_core.tenants.results import Planned
from landlord_test_target.waiting import wait_for


@attrs.define
class JobsFile:
    """A file with jobs of one tenant, and Landlord's answer about that tenant."""

    store: Store
    word: bool | None = None
    resync_after: float = 0

    def claim(self) -> Job:
        job = self.store.claim("worker", 60)
        assert job is not None
        return job

    def send(self) -> SqliteSteps:
        self.store.send(b"{}")
        return self.steps(self.claim())

    def steps(self, job: Job) -> SqliteSteps:
        return SqliteSteps(
            job=job, store=self.store, is_desired=self.is_desired, resync_after=self.resync_after
        )

    def send_resync(self, after: SqliteSteps) -> ResyncSteps:
        ended = CompletedJob(tenant="t", execution_id=after.execution_id, operation="update")
        self.store.send_resync(FollowUp(after=0, ended=ended))
        return ResyncSteps(
            job=self.claim(),
            store=self.store,
            is_desired=self.is_desired,
            resync_after=0,
            after=after.job.id,
        )

    async def is_desired(self, tenant: str) -> bool | None:
        _ = tenant
        return self.word

    async def end_job(self, steps: SqliteSteps, operation: str) -> None:
        """Have a job of this kind write its end."""
        await steps.acquire("t", job_start(operation))
        await steps.complete("t", transition(steps, operation))
        self.store.release(steps.job, "done")


def job_start(operation: str = "update") -> JobStart:
    return JobStart(operation=operation, started_at="t", is_uuid=True)


def transition(steps: SqliteSteps, operation: str = "update") -> Transition:
    return Transition(
        execution_id=steps.execution_id, operation=operation, started_at="t", ended_at="t"
    )


@pytest.fixture
def jobs_file(tmp_path: Path) -> Iterator[JobsFile]:
    with closing(Store(tmp_path / "jobs.db")) as store:
        yield JobsFile(store)


async def test_a_younger_job_takes_the_lock_once_the_task_of_the_older_one_has_ended(
    jobs_file: JobsFile,
) -> None:
    older, younger = jobs_file.send(), jobs_file.send()
    await older.acquire("t", job_start())
    acquiring = asyncio.create_task(younger.acquire("t", job_start()))

    async def is_asked_to_stop() -> bool:
        job = jobs_file.store.job(older.job.id)
        return job is not None and job.state == "superseded"

    await wait_for(is_asked_to_stop)
    assert not acquiring.done()
    jobs_file.store.release(older.job, "open")
    await acquiring

    for call in (older.read_record("t"), older.acquire("t", job_start())):
        with pytest.raises(Superseded) as raised:
            await call
        # This error ends a switch without a rollback. ExecutionEnded alone would not.
        assert not isinstance(raised.value, ExecutionEnded)
    assert (await younger.read_record("t")).transitions


async def test_of_two_jobs_that_wait_for_one_lock_the_younger_gets_it_last(
    jobs_file: JobsFile,
) -> None:
    holder, middle, youngest = jobs_file.send(), jobs_file.send(), jobs_file.send()
    await holder.acquire("t", job_start())
    waiting = asyncio.gather(
        middle.acquire("t", job_start()), youngest.acquire("t", job_start()), return_exceptions=True
    )

    async def is_acquired() -> bool:
        # The worker of the two older jobs ends their tasks.
        for job in (holder.job, middle.job):
            row = jobs_file.store.job(job.id)
            if row is not None and not row.is_open:
                jobs_file.store.release(job, "open")
        return jobs_file.store.lock("t").job == youngest.job.id

    await wait_for(is_acquired)
    await waiting


async def test_a_job_that_acquires_its_lock_again_stops_no_other_job(jobs_file: JobsFile) -> None:
    job = jobs_file.send()
    await job.acquire("t", job_start())

    record = await job.acquire("t", job_start())

    assert len(record.transitions) == 1


async def test_a_job_that_was_killed_sees_that_it_has_ended(jobs_file: JobsFile) -> None:
    job = jobs_file.send()
    await job.acquire("t", job_start())
    await job.read_record("t")

    jobs_file.store.stop(job.job.id, "killed")

    with pytest.raises(ExecutionEnded):
        await job.read_record("t")


async def test_a_job_that_was_killed_supersedes_none(jobs_file: JobsFile) -> None:
    older, younger = jobs_file.send(), jobs_file.send()
    await younger.acquire("t", job_start())
    jobs_file.store.stop(younger.job.id, "killed")
    jobs_file.store.release(younger.job, "open")

    await older.read_record("t")
    await older.acquire("t", job_start())

    assert jobs_file.store.lock("t").job == older.job.id


async def test_a_job_that_has_ended_supersedes_an_older_one(jobs_file: JobsFile) -> None:
    older, younger = jobs_file.send(), jobs_file.send()
    await jobs_file.end_job(younger, "update")

    for call in (older.read_record("t"), older.acquire("t", job_start())):
        with pytest.raises(Superseded):
            await call


@pytest.mark.parametrize(("word", "taken"), [(True, True), (False, False), (None, True)])
async def test_after_a_delete_a_job_continues_only_if_landlord_wants_the_tenant(
    jobs_file: JobsFile, *, word: bool | None, taken: bool
) -> None:
    delete, job = jobs_file.send(), jobs_file.send()
    await jobs_file.end_job(delete, "delete")
    jobs_file.word = word

    if taken:
        await job.acquire("t", job_start("provision"))
    else:
        with pytest.raises(Superseded):
            await job.acquire("t", job_start("provision"))


@pytest.mark.parametrize(("word", "taken"), [(True, False), (False, True), (None, True)])
async def test_an_older_delete_is_superseded_only_if_landlord_wants_the_tenant(
    jobs_file: JobsFile, *, word: bool | None, taken: bool
) -> None:
    delete, job = jobs_file.send(), jobs_file.send()
    await jobs_file.end_job(job, "provision")
    jobs_file.word = word

    if taken:
        await delete.acquire("t", job_start("delete"))
    else:
        with pytest.raises(Superseded):
            await delete.acquire("t", job_start("delete"))


async def test_a_delete_that_yields_to_an_ended_job_has_it_resynced(jobs_file: JobsFile) -> None:
    jobs_file.resync_after, jobs_file.word = 60, True
    delete, job = jobs_file.send(), jobs_file.send()
    await jobs_file.end_job(job, "provision")
    before = jobs_file.store.open_jobs()

    with pytest.raises(Superseded):
        await delete.acquire("t", job_start("delete"))

    assert jobs_file.store.open_jobs() == before + 1


async def test_a_finished_step_does_not_run_again_in_a_later_attempt(jobs_file: JobsFile) -> None:
    first, ran = jobs_file.send(), list[int]()

    async def plan() -> Planned:
        ran.append(1)
        return Planned(action="create")

    value = await first.run("plan", plan, Planned)
    jobs_file.store.release(first.job, "open", "failed", 0)
    second = jobs_file.steps(jobs_file.claim())

    assert await second.run("plan", plan, Planned) == value
    assert ran == [1]
    assert second.job.attempt == 2
    assert await second.lost_attempts() == NONE_LOST


async def test_an_attempt_that_lost_its_lease_writes_nothing(jobs_file: JobsFile) -> None:
    job = jobs_file.send()
    await job.acquire("t", job_start())
    jobs_file.store.release(job.job, "open")

    async def plan() -> Planned:
        return Planned(action="create")

    for call in (
        job.complete("t", transition(job)),
        job.run("plan", plan, Planned),
        job.acquire("t", job_start()),
        job.read_record("t"),
    ):
        with pytest.raises(Superseded):
            await call
    assert not jobs_file.store.lock("t").record.has_ended(job.execution_id)


async def test_a_resync_waits_for_its_job_and_acquires_beside_it(jobs_file: JobsFile) -> None:
    job = jobs_file.send()
    await job.acquire("t", job_start())
    resync = jobs_file.send_resync(job)
    with pytest.raises(StillRunning):
        await resync.read_record("t")

    jobs_file.store.release(job.job, "done")
    await resync.read_record("t")
    placement = Placement(engine="mock", location="here")
    record = await resync.acquire("t", attrs.evolve(job_start(), placement=placement))

    assert [kept.location for kept in record.placements] == ["here"]
    lock = jobs_file.store.lock("t")
    assert (lock.job, lock.resync) == (job.job.id, resync.job.id)


async def test_a_job_stops_the_resync_of_the_job_before_it(jobs_file: JobsFile) -> None:
    first = jobs_file.send()
    await jobs_file.end_job(first, "update")
    resync = jobs_file.send_resync(first)
    await resync.acquire("t", job_start())
    next_job = jobs_file.send()
    acquiring = asyncio.create_task(next_job.acquire("t", job_start()))

    async def is_stopped() -> bool:
        row = jobs_file.store.job(resync.job.id)
        return row is not None and not row.is_open

    await wait_for(is_stopped)
    with pytest.raises(Superseded):
        await resync.read_record("t")
    jobs_file.store.release(resync.job, "open")
    await acquiring


def test_only_its_own_user_reads_the_file(tmp_path: Path) -> None:
    with closing(Store(tmp_path / "jobs.db")) as store:
        store.send(b"{}")
        modes = {path.name: oct(path.stat().st_mode & 0o777) for path in tmp_path.iterdir()}

    assert set(modes.values()) == {"0o600"}
    assert "jobs.db-wal" in modes


def test_a_file_that_cannot_be_created_is_an_error_with_its_path(tmp_path: Path) -> None:
    with pytest.raises(EngineFailed, match=r"jobs\.db cannot be opened"):
        Store(tmp_path / "missing" / "jobs.db")
