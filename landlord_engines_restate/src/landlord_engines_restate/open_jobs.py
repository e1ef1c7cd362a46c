"""What a tenant's jobs are doing that have not ended, as Restate shows it.

A job that is held writes nothing down: its attempts end in errors, of which Restate keeps the last one.
One that is held before it has the tenant's lock is found by that error's text, which names the tenant.
"""

import re
from collections.abc import Mapping
from enum import StrEnum

import attrs

from landlord_engines_core.errors import (
    EngineError,
    Held,
    Queued,
    SetApart,
    Transient,
    name_tenant,
)
from landlord_engines_restate.admin import AdminClient, literal

__all__ = ["JobState", "OpenJob", "OpenJobs"]

_CODE = re.compile(r"\b(LE\d{3}): (.*)", re.DOTALL)

Row = Mapping[str, object]


class JobState(StrEnum):
    """What a job that has not ended is doing."""

    RUNNING = "running"
    HELD = "held"
    """It waits until a configuration changes, and is tried now and then."""
    RETRYING = "retrying"
    QUEUED = "queued"
    """It waits for a slot."""
    SET_APART = "set-apart"
    """It has lost its worker several times, and waits."""
    PAUSED = "paused"
    """Restate does not go on with it until somebody resumes it."""
    UNKNOWN = "unknown"
    """Restate's admin API does not tell."""


_BY_CODE = {
    Held.code: JobState.HELD,
    Queued.code: JobState.QUEUED,
    SetApart.code: JobState.SET_APART,
    Transient.code: JobState.RETRYING,
}


@attrs.frozen(kw_only=True)
class OpenJob:
    """A job that has not ended.

    Attributes:
        since: When Restate accepted it, as RFC 3339 text.
        attempts: How many attempts Restate has begun since it last made progress.
        code: That of the last attempt's error, ours or Restate's; empty where none failed.
        reason: What one of our errors says, which never is a value of a configuration.
        next_try_at: When Restate enters it again, as RFC 3339 text; empty where it waits for no time.
    """

    execution_id: str
    state: JobState
    since: str = ""
    attempts: int = 0
    code: str = ""
    reason: str = ""
    next_try_at: str = ""


@attrs.frozen
class OpenJobs:
    """Asks Restate for a tenant's jobs."""

    admin: AdminClient

    async def of(self, tenant: str, holder: str) -> tuple[OpenJob, ...]:
        """Those that have not ended, the one that has the lock first.

        Args:
            tenant: Whose jobs.
            holder: The job that has the lock, or empty.
        """
        try:
            known = [holder] if holder else []
            ids = dict.fromkeys([*known, *await self._failing(tenant)])
            rows = await self._shown(tuple(ids)) if ids else {}
        except EngineError as error:
            unknown = JobState.UNKNOWN
            return (
                OpenJob(execution_id=holder, state=unknown, code=error.code, reason=error.message),
            )
        return tuple(_open_job(rows[one]) for one in ids if one in rows)

    async def _failing(self, tenant: str) -> list[str]:
        # Restate has this table in memory: it holds what runs or backs off, and nothing else.
        rows = await self.admin.query(
            "SELECT id FROM sys_invocation_state"  # noqa: S608  # quoted
            f" WHERE strpos(last_failure, {literal(name_tenant(tenant))}) > 0"
        )
        return sorted(str(row["id"]) for row in rows)

    async def _shown(self, ids: tuple[str, ...]) -> dict[str, Row]:
        wanted = ", ".join(map(literal, ids))
        rows = await self.admin.query(
            "SELECT id, status, created_at, retry_count, next_retry_at, last_failure,"  # noqa: S608  # quoted
            f" last_failure_error_code FROM sys_invocation WHERE id IN ({wanted})"
            " AND status <> 'completed'"
        )
        return {str(row["id"]): row for row in rows}


def _open_job(row: Row) -> OpenJob:
    told = _CODE.search(str(row.get("last_failure", "")))
    return OpenJob(
        execution_id=str(row["id"]),
        state=_state(str(row["status"]), told[1] if told else ""),
        since=str(row["created_at"]),
        attempts=int(str(row.get("retry_count", 0))),
        code=told[1] if told else str(row.get("last_failure_error_code", "")),
        reason=told[2] if told else "",
        next_try_at=str(row.get("next_retry_at", "")),
    )


def _state(status: str, code: str) -> JobState:
    if status == "paused":
        return JobState.PAUSED
    return _BY_CODE.get(code, JobState.RETRYING) if status == "backing-off" else JobState.RUNNING
