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
class File:
    """A file with jobs of one tenant, and Landlord's word about it."""

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

    async def end(self, steps: SqliteSteps, operation: str) -> None:
        """Have a job of this kind write its end."""
        await steps.acquire("t", note(operation))
        await steps.complete("t", transition(steps, operation))
        self.store.release(steps.job, "done")


def note(operation: str = "update") -> JobStart:
    return JobStart(operation=operation, started_at="t", is_uuid=True)


def transition(steps: SqliteSteps, operation: str = "update") -> Transition:
    return Transition(
        execution_id=steps.execution_id, operation=operation, started_at="t", ended_at="t"
    )


@pytest.fixture
def file(tmp_path: Path) -> Iterator[File]:
    with closing(Store(tmp_path / "jobs.db")) as store:
        yield File(store)


async def test_a_younger_job_takes_the_lock_once_the_task_of_the_older_one_has_ended(
    file: File,
) -> None:
    older, younger = file.send(), file.send()
    await older.acquire("t", note())
    acquiring = asyncio.create_task(younger.acquire("t", note()))

    async def is_asked_to_stop() -> bool:
        job = file.store.job(older.job.id)
        return job is not None and job.state == "superseded"

    await wait_for(is_asked_to_stop)
    assert not acquiring.done()
    file.store.release(older.job, "open")
    await acquiring

    for call in (older.read_record("t"), older.acquire("t", note())):
        with pytest.raises(Superseded) as raised:
            await call
        # In a switch this ends it, which the end of the job alone would not.
        assert not isinstance(raised.value, ExecutionEnded)
    assert (await younger.read_record("t")).transitions


async def test_of_two_jobs_that_wait_for_one_lock_the_younger_gets_it_last(file: File) -> None:
    holder, middle, youngest = file.send(), file.send(), file.send()
    await holder.acquire("t", note())
    waiting = asyncio.gather(
        middle.acquire("t", note()), youngest.acquire("t", note()), return_exceptions=True
    )

    async def is_acquired() -> bool:
        # The worker of the two older jobs ends their tasks.
        for job in (holder.job, middle.job):
            row = file.store.job(job.id)
            if row is not None and not row.is_open:
                file.store.release(job, "open")
        return file.store.lock("t").job == youngest.job.id

    await wait_for(is_acquired)
    await waiting


async def test_a_job_that_acquires_its_lock_again_stops_no_other_job(file: File) -> None:
    job = file.send()
    await job.acquire("t", note())

    record = await job.acquire("t", note())

    assert len(record.transitions) == 1


async def test_a_job_that_was_killed_sees_that_it_has_ended(file: File) -> None:
    job = file.send()
    await job.acquire("t", note())
    await job.read_record("t")

    file.store.stop(job.job.id, "killed")

    with pytest.raises(ExecutionEnded):
        await job.read_record("t")


async def test_a_job_that_was_killed_supersedes_none(file: File) -> None:
    older, younger = file.send(), file.send()
    await younger.acquire("t", note())
    file.store.stop(younger.job.id, "killed")
    file.store.release(younger.job, "open")

    await older.read_record("t")
    await older.acquire("t", note())

    assert file.store.lock("t").job == older.job.id


async def test_a_job_that_has_ended_supersedes_an_older_one(file: File) -> None:
    older, younger = file.send(), file.send()
    await file.end(younger, "update")

    for call in (older.read_record("t"), older.acquire("t", note())):
        with pytest.raises(Superseded):
            await call


@pytest.mark.parametrize(("word", "taken"), [(True, True), (False, False), (None, True)])
async def test_after_a_delete_a_job_continues_only_if_landlord_wants_the_tenant(
    file: File, *, word: bool | None, taken: bool
) -> None:
    delete, job = file.send(), file.send()
    await file.end(delete, "delete")
    file.word = word

    if taken:
        await job.acquire("t", note("provision"))
    else:
        with pytest.raises(Superseded):
            await job.acquire("t", note("provision"))


@pytest.mark.parametrize(("word", "taken"), [(True, False), (False, True), (None, True)])
async def test_an_older_delete_is_superseded_only_if_landlord_wants_the_tenant(
    file: File, *, word: bool | None, taken: bool
) -> None:
    delete, job = file.send(), file.send()
    await file.end(job, "provision")
    file.word = word

    if taken:
        await delete.acquire("t", note("delete"))
    else:
        with pytest.raises(Superseded):
            await delete.acquire("t", note("delete"))


async def test_a_delete_that_yields_to_an_ended_job_has_it_resynced(file: File) -> None:
    file.resync_after, file.word = 60, True
    delete, job = file.send(), file.send()
    await file.end(job, "provision")
    before = file.store.open_jobs()

    with pytest.raises(Superseded):
        await delete.acquire("t", note("delete"))

    assert file.store.open_jobs() == before + 1


async def test_a_finished_step_does_not_run_again_in_a_later_attempt(file: File) -> None:
    first, ran = file.send(), list[int]()

    async def plan() -> Planned:
        ran.append(1)
        return Planned(action="create")

    value = await first.run("plan", plan, Planned)
    file.store.release(first.job, "open", "failed", 0)
    second = file.steps(file.claim())

    assert await second.run("plan", plan, Planned) == value
    assert ran == [1]
    assert second.job.attempt == 2
    assert await second.lost_attempts() == NONE_LOST


async def test_an_attempt_that_lost_its_lease_writes_nothing(file: File) -> None:
    job = file.send()
    await job.acquire("t", note())
    file.store.release(job.job, "open")

    async def plan() -> Planned:
        return Planned(action="create")

    for call in (
        job.complete("t", transition(job)),
        job.run("plan", plan, Planned),
        job.acquire("t", note()),
        job.read_record("t"),
    ):
        with pytest.raises(Superseded):
            await call
    assert not file.store.lock("t").record.has_ended(job.execution_id)


async def test_a_resync_waits_for_its_job_and_acquires_beside_it(file: File) -> None:
    job = file.send()
    await job.acquire("t", note())
    resync = file.send_resync(job)
    with pytest.raises(StillRunning):
        await resync.read_record("t")

    file.store.release(job.job, "done")
    await resync.read_record("t")
    placement = Placement(engine="mock", location="here")
    record = await resync.acquire("t", attrs.evolve(note(), placement=placement))

    assert [kept.location for kept in record.placements] == ["here"]
    lock = file.store.lock("t")
    assert (lock.job, lock.resync) == (job.job.id, resync.job.id)


async def test_a_job_stops_the_resync_of_the_job_before_it(file: File) -> None:
    first = file.send()
    await file.end(first, "update")
    resync = file.send_resync(first)
    await resync.acquire("t", note())
    next_job = file.send()
    acquiring = asyncio.create_task(next_job.acquire("t", note()))

    async def is_stopped() -> bool:
        row = file.store.job(resync.job.id)
        return row is not None and not row.is_open

    await wait_for(is_stopped)
    with pytest.raises(Superseded):
        await resync.read_record("t")
    file.store.release(resync.job, "open")
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
