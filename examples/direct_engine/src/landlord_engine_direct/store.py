"""The backend: a SQLite file with all jobs and each tenant's lock."""

import fcntl
import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager
from enum import StrEnum
from pathlib import Path

import attrs

from landlord_engines_core.api import EngineFailed, EngineRefused, Record, codec

__all__ = ["Job", "JobState", "Store", "TenantLock"]

SCHEMA = """
PRAGMA journal_mode = WAL;
PRAGMA synchronous = FULL;
CREATE TABLE IF NOT EXISTS jobs (
    id INTEGER PRIMARY KEY AUTOINCREMENT,
    body BLOB NOT NULL,
    state TEXT NOT NULL DEFAULT 'queued',
    attempts INTEGER NOT NULL DEFAULT 0,
    reason TEXT NOT NULL DEFAULT ''
);
CREATE TABLE IF NOT EXISTS turns (
    tenant TEXT PRIMARY KEY, job INTEGER NOT NULL, record BLOB NOT NULL
);
"""


class JobState(StrEnum):
    """State of a job. The first three are those of unfinished jobs."""

    QUEUED = "queued"
    RUNNING = "running"
    BACKING_OFF = "backing-off"
    COMPLETED = "completed"
    REFUSED = "refused"
    """The job's body is invalid, so no retry can succeed."""
    SUPERSEDED = "superseded"
    KILLED = "killed"


_UNFINISHED = "state IN ('queued', 'running', 'backing-off')"
_UNFINISHED_STATES = (JobState.QUEUED, JobState.RUNNING, JobState.BACKING_OFF)


@attrs.frozen(kw_only=True)
class Job:
    """Row of a job; ids rise in the order of dispatch."""

    id: int
    body: bytes
    state: JobState
    attempts: int
    reason: str


@attrs.frozen(kw_only=True)
class TenantLock:
    """Row of a tenant's lock and record.

    Attributes:
        job: Id of the job that has or last had the lock; 0 if no job ever had it.
    """

    job: int = 0
    record: Record = attrs.field(factory=Record)


class Store:
    """Connection to the file.

    Each statement is a separate transaction, which is on disk when the statement returns. A statement
    takes microseconds, so it may run in the event loop. A remote backend would have to be awaited.

    Raises:
        EngineFailed: The file cannot be opened or created.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        try:
            self._database = sqlite3.connect(path, isolation_level=None)
            self._database.executescript(SCHEMA)
        except sqlite3.Error as error:
            raise EngineFailed(
                f"{path} cannot be opened: {error}", hint="check workflow.direct.path"
            ) from error
        self._seen = -1

    def close(self) -> None:
        """Close the connection."""
        self._database.close()

    @contextmanager
    def lock_file(self) -> Iterator[None]:
        """Make this worker the only one of the file while the context is open.

        Raises:
            EngineRefused: Another worker uses the file.
        """
        with self.path.with_suffix(".lock").open("w") as lock:
            # The system releases the lock when the process ends, even by a kill.
            try:
                fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                raise EngineRefused(
                    f"another worker uses {self.path}",
                    hint="this engine is for one worker; stop the other one",
                ) from None
            yield

    def has_changed(self) -> bool:
        """Whether another connection has written to the file since the last call."""
        ((version,),) = self._database.execute("PRAGMA data_version")
        before, self._seen = self._seen, version
        return bool(version != before)

    def send(self, body: bytes) -> int:
        """Queue a job."""
        rows = self._database.execute("INSERT INTO jobs (body) VALUES (?) RETURNING id", (body,))
        job_id: int = rows.fetchone()[0]
        return job_id

    def job(self, job_id: int) -> Job | None:
        """Read a job."""
        return next(self._jobs("id = ?", job_id), None)

    def unfinished(self) -> dict[int, Job]:
        """Read all unfinished jobs, oldest first."""
        return {job.id: job for job in self._jobs(f"{_UNFINISHED} ORDER BY id")}

    def mark(self, job_id: int, state: JobState, *, attempts: int = 0, reason: str = "") -> None:
        """Write the state of an unfinished job. A killed job stays killed."""
        changes = "state = ?, reason = ?, attempts = MAX(attempts, ?)"
        sql = f"UPDATE jobs SET {changes} WHERE id = ? AND {_UNFINISHED}"  # noqa: S608  # ours
        self._database.execute(sql, (state, reason, attempts, job_id))

    def has_ended(self, job_id: int) -> bool:
        """Whether a job has ended, with any result; false if it is missing."""
        job = self.job(job_id)
        return job is not None and job.state not in _UNFINISHED_STATES

    def lock(self, tenant: str) -> TenantLock:
        """Read a tenant's lock."""
        sql = "SELECT job, record FROM turns WHERE tenant = ?"
        for job, record in self._database.execute(sql, (tenant,)):
            return TenantLock(job=job, record=codec.loads(record, Record))
        return TenantLock()

    def write_lock(self, tenant: str, lock: TenantLock) -> None:
        """Write a tenant's lock."""
        sql = "INSERT OR REPLACE INTO turns VALUES (?, ?, ?)"
        self._database.execute(sql, (tenant, lock.job, codec.dumps(lock.record)))

    def _jobs(self, condition: str, *values: object) -> Iterator[Job]:
        # A row that a person inserts has text instead of bytes.
        columns = "id, CAST(body AS BLOB), state, attempts, reason"
        sql = f"SELECT {columns} FROM jobs WHERE {condition}"  # noqa: S608  # ours
        for job_id, body, state, attempts, reason in self._database.execute(sql, values):
            yield Job(id=job_id, body=body, state=JobState(state), attempts=attempts, reason=reason)
