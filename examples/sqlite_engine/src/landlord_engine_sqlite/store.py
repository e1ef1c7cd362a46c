"""The backend: jobs with their leases and journals, and each tenant's lock and record."""

import json
import sqlite3
from collections.abc import Collection, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from time import time
from typing import Any

import attrs

from landlord_engines_core.api import (
    EngineFailed,
    FollowUp,
    Record,
    codec,
)

__all__ = ["Job", "Lock", "Store"]

_SCHEMA = """
PRAGMA journal_mode = WAL;
PRAGMA synchronous = FULL;
CREATE TABLE IF NOT EXISTS jobs (
    id INTEGER PRIMARY KEY AUTOINCREMENT, body BLOB NOT NULL, kind TEXT NOT NULL DEFAULT 'job',
    state TEXT NOT NULL DEFAULT 'open', due REAL NOT NULL DEFAULT 0, reason TEXT DEFAULT '',
    owner TEXT DEFAULT '', lease REAL NOT NULL DEFAULT 0, attempt INTEGER NOT NULL DEFAULT 0
);
CREATE TABLE IF NOT EXISTS journal (
    job INTEGER NOT NULL, step TEXT NOT NULL, value BLOB NOT NULL, PRIMARY KEY (job, step)
);
CREATE TABLE IF NOT EXISTS tenants (
    tenant TEXT PRIMARY KEY, job INTEGER NOT NULL, resync INTEGER NOT NULL, record BLOB NOT NULL
);
"""

_BUSY = 60.0
"""Seconds that a statement waits for another process, which may be frozen while it writes."""


def _encode(body: bytes | str) -> bytes:
    return body.encode() if isinstance(body, str) else body


@attrs.frozen(kw_only=True)
class Job:
    """One row of ``kind`` ``job`` or ``resync``; ids rise in the order of dispatch.

    Attributes:
        attempt: The attempt that has the lease; no other may write for the job.
    """

    id: int
    # A row that a person inserts has text instead of bytes.
    body: bytes = attrs.field(converter=_encode)
    kind: str
    state: str
    reason: str
    owner: str
    lease: float
    attempt: int

    @property
    def is_open(self) -> bool:
        """Check whether the job still has to run; killed and superseded jobs have not."""
        return self.state == "open"

    @property
    def is_leased(self) -> bool:
        """Check whether a task may be working on the job, also one that is being stopped."""
        return self.lease > time()


@attrs.frozen(kw_only=True)
class Lock:
    """The job and the resync that had a tenant's lock last (0 for none), and the record."""

    job: int = 0
    resync: int = 0
    record: Record = attrs.field(factory=Record)


class Store:
    """A connection to the file. Calls are not awaited, because each takes microseconds.

    Raises:
        EngineFailed: The file cannot be opened or created.
    """

    def __init__(self, path: Path) -> None:
        try:
            # Bodies hold configurations of tenants. SQLite gives its other files the same mode.
            path.touch(mode=0o600)
            self._database = sqlite3.connect(path, timeout=_BUSY, isolation_level=None)
            self._database.executescript(_SCHEMA)
        except (OSError, sqlite3.Error) as error:
            raise EngineFailed(
                f"{path} cannot be opened: {error}", hint="check workflow.sqlite.path"
            ) from error
        self._database.row_factory = sqlite3.Row

    def close(self) -> None:
        """Close the connection."""
        self._database.close()

    @contextmanager
    def transaction(self) -> Iterator[None]:
        """Block writes of other processes for the duration of a block."""
        self._rows("BEGIN IMMEDIATE")
        try:
            yield
        except BaseException:
            self._rows("ROLLBACK")
            raise
        self._rows("COMMIT")

    def send(self, body: bytes) -> int:
        """Queue a job."""
        return int(self._rows("INSERT INTO jobs (body) VALUES (?) RETURNING id", body)[0]["id"])

    def send_resync(self, planned: FollowUp | None) -> None:
        """Queue a resync, if one is planned."""
        if planned is not None:
            sql = "INSERT INTO jobs (body, kind, due) VALUES (?, 'resync', ?)"
            self._rows(sql, codec.dumps(planned.ended), time() + planned.after)

    def job(self, job_id: int) -> Job | None:
        """Read a job."""
        return next(map(_job, self._rows("SELECT * FROM jobs WHERE id = ?", job_id)), None)

    def claim(self, owner: str, seconds: float) -> Job | None:
        """Lease the oldest job that is due, if there is one."""
        due = "SELECT id FROM jobs WHERE state = 'open' AND lease <= ? AND due <= ? ORDER BY id"
        now = time()
        if not self._rows(due, now, now):
            # An UPDATE would wait for every writer, also when no job is due.
            return None
        sql = f"""
            UPDATE jobs SET owner = ?, lease = ?, attempt = attempt + 1
            WHERE id = ({due} LIMIT 1) RETURNING *
        """  # noqa: S608  # ours
        return next(map(_job, self._rows(sql, owner, now + seconds, now, now)), None)

    def extend(
        self, owner: str, running: Collection[tuple[int, int]], seconds: float
    ) -> Collection[tuple[int, int]]:
        """Extend the leases of running jobs that have not run out, once a third of one is over.

        Args:
            owner: The worker that has the leases.
            running: Id and attempt of each job.
            seconds: The time until the extended leases run out.

        Returns:
            Id and attempt of each job that may continue; an ended job keeps its lease and is left out.
        """
        sql = "SELECT * FROM jobs WHERE owner = ? AND lease > ?"
        leased = [
            row for row in self._rows(sql, owner, time()) if (row["id"], row["attempt"]) in running
        ]
        if any(row["lease"] < time() + seconds * 2 / 3 for row in leased):
            ids = json.dumps([row["id"] for row in leased])
            sql = """
                UPDATE jobs SET lease = ? WHERE owner = ? AND lease > ?
                    AND id IN (SELECT value FROM json_each(?))
            """
            self._rows(sql, time() + seconds, owner, time(), ids)
        return {(row["id"], row["attempt"]) for row in leased if row["state"] == "open"}

    def release(self, job: Job, state: str, reason: str = "", pause: float = 0) -> None:
        """Release a lease; ``state`` is stored only for an open job, by the attempt with the lease."""
        sql = """
            UPDATE jobs SET owner = '', lease = 0, due = ?, reason = ?,
                state = iif(state = 'open', ?, state)
            WHERE id = ? AND attempt = ? AND lease > ?
        """
        self._rows(sql, time() + pause, reason, state, job.id, job.attempt, time())

    def stop(self, job_id: int, state: str) -> None:
        """End a job; its worker notices when it extends its leases."""
        self._rows("UPDATE jobs SET state = ? WHERE id = ? AND state = 'open'", state, job_id)

    def open_jobs(self) -> int:
        """Count the jobs that still have to run, or are being stopped."""
        sql = "SELECT count(*) AS n FROM jobs WHERE state = 'open' OR lease > ?"
        return int(self._rows(sql, time())[0]["n"])

    def journaled(self, job_id: int, step: str) -> bytes | None:
        """Read the value of a finished step, if it has finished."""
        sql = "SELECT value FROM journal WHERE job = ? AND step = ?"
        return next((row["value"] for row in self._rows(sql, job_id, step)), None)

    def write_journal(self, job_id: int, step: str, value: bytes) -> None:
        """Journal the value of a finished step."""
        self._rows("INSERT INTO journal VALUES (?, ?, ?)", job_id, step, value)

    def lock(self, tenant: str) -> Lock:
        """Read a tenant's lock."""
        return next(
            map(_lock, self._rows("SELECT * FROM tenants WHERE tenant = ?", tenant)), Lock()
        )

    def locks(self) -> Iterator[tuple[str, Lock]]:
        """Read all locks, in the order of the tenants, one by one."""
        for row in self._database.execute("SELECT * FROM tenants ORDER BY tenant"):
            yield row["tenant"], _lock(row)

    def waiting_jobs(self) -> Iterator[Job]:
        """Read the open jobs whose last attempt failed, oldest first."""
        sql = (
            "SELECT * FROM jobs WHERE kind = 'job' AND state = 'open' AND reason != '' ORDER BY id"
        )
        return map(_job, self._rows(sql))

    def make_due(self, job_id: int) -> bool:
        """Make an open job due at once; return whether it is open."""
        sql = "UPDATE jobs SET due = 0 WHERE id = ? AND state = 'open' RETURNING id"
        return bool(self._rows(sql, job_id))

    def write_lock(self, tenant: str, lock: Lock) -> None:
        """Write a tenant's lock."""
        values = (tenant, lock.job, lock.resync, codec.dumps(lock.record))
        self._rows("INSERT OR REPLACE INTO tenants VALUES (?, ?, ?, ?)", *values)

    def _rows(self, sql: str, *values: object) -> list[Mapping[str, Any]]:
        return list(self._database.execute(sql, values))


def _lock(row: Mapping[str, Any]) -> Lock:
    record = codec.loads(row["record"], Record)
    return Lock(job=row["job"], resync=row["resync"], record=record)


def _job(row: Mapping[str, Any]) -> Job:
    return Job(**{field.name: row[field.name] for field in attrs.fields(Job)})
