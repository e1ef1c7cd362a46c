"""The example's steps keep the order of jobs, and show a job that was killed as ended."""

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
class Process:
    """The jobs of a process in which none runs by itself."""

    lock: asyncio.Lock = attrs.field(factory=asyncio.Lock)
    stopped: list[int] = attrs.field(factory=list)

    def acquisition_lock(self, tenant: str) -> AbstractAsyncContextManager[None]:
        _ = tenant
        return self.lock

    async def stop(self, job_id: int) -> None:
        self.stopped.append(job_id)


@attrs.define
class File:
    """A file with jobs of one tenant, and Landlord's word about it."""

    store: Store
    process: Process = attrs.field(factory=Process)
    word: bool | None = None

    def send(self) -> DirectSteps:
        return DirectSteps(
            job_id=self.store.send(b"{}"),
            store=self.store,
            jobs=self.process,
            is_wanted=self.is_wanted,
        )

    async def is_wanted(self, tenant: str) -> bool | None:
        _ = tenant
        return self.word

    async def ended(self, steps: DirectSteps, operation: str) -> None:
        """Have a job of this kind write its end."""
        await steps.acquire("t", note(operation))
        done = Transition(
            execution_id=steps.execution_id, operation=operation, started_at="t", ended_at="t"
        )
        await steps.complete("t", done)
        self.store.mark(steps.job_id, JobState.COMPLETED)


def note(operation: str = "update") -> JobStart:
    return JobStart(operation=operation, started_at="t", is_uuid=True)


@pytest.fixture
def file(tmp_path: Path) -> Iterator[File]:
    with closing(Store(tmp_path / "jobs.db")) as store:
        yield File(store)


async def test_a_younger_job_takes_the_lock_and_the_older_one_loses_it(file: File) -> None:
    older, younger = file.send(), file.send()
    await older.acquire("t", note())

    await younger.acquire("t", note())

    assert file.process.stopped == [older.job_id]
    for call in (older.read_record("t"), older.acquire("t", note())):
        with pytest.raises(Superseded) as raised:
            await call
        # In a switch this ends it, which the end of the job alone would not.
        assert not isinstance(raised.value, ExecutionEnded)
    assert (await younger.read_record("t")).transitions


async def test_a_job_that_acquires_its_lock_again_stops_no_other_job(file: File) -> None:
    job = file.send()
    await job.acquire("t", note())

    await job.acquire("t", note())

    assert file.process.stopped == []


async def test_a_job_that_was_killed_sees_that_it_has_ended(file: File) -> None:
    job = file.send()
    await job.acquire("t", note())
    await job.read_record("t")

    file.store.mark(job.job_id, JobState.KILLED)

    with pytest.raises(ExecutionEnded):
        await job.read_record("t")


async def test_a_job_that_was_killed_supersedes_none(file: File) -> None:
    older, younger = file.send(), file.send()
    await younger.acquire("t", note())
    file.store.mark(younger.job_id, JobState.KILLED)

    await older.read_record("t")
    await older.acquire("t", note())

    assert file.process.stopped == [younger.job_id]


async def test_a_job_that_has_ended_supersedes_an_older_one(file: File) -> None:
    older, younger = file.send(), file.send()
    await file.ended(younger, "update")

    for call in (older.read_record("t"), older.acquire("t", note())):
        with pytest.raises(Superseded):
            await call


@pytest.mark.parametrize(("word", "taken"), [(True, True), (False, False), (None, True)])
async def test_after_a_delete_a_job_continues_only_if_landlord_wants_the_tenant(
    file: File, *, word: bool | None, taken: bool
) -> None:
    delete, job = file.send(), file.send()
    await file.ended(delete, "delete")
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
    await file.ended(job, "provision")
    file.word = word

    if taken:
        await delete.acquire("t", note("delete"))
    else:
        with pytest.raises(Superseded):
            await delete.acquire("t", note("delete"))


async def test_an_older_delete_that_wins_keeps_its_lock(file: File) -> None:
    delete, job = file.send(), file.send()
    await file.ended(job, "provision")
    await file.ended(delete, "delete")

    assert file.store.lock("t").job == delete.job_id


def test_a_missing_row_has_not_ended(file: File) -> None:
    assert not file.store.has_ended(7)
