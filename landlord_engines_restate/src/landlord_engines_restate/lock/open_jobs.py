"""A tenant's open jobs, which have not ended, as Restate shows them.

A held job writes no state. Its attempts end in errors, and Restate keeps the last error. A job may be
held before it has the tenant's lock. The text of that error names the tenant, so a search finds the job.
"""

from collections.abc import Mapping

import attrs

from landlord_engines_core.engine import JobFailure, JobState, OpenJob, read_failure
from landlord_engines_core.errors import EngineError, name_tenant
from landlord_engines_restate.admin import AdminClient, literal
from landlord_engines_restate.admin.queries import Status

__all__ = ["COLUMNS", "OpenJobs", "to_open_job"]

COLUMNS = (
    "id, status, created_at, retry_count, next_retry_at, last_failure, last_failure_error_code"
)
"""The columns of ``sys_invocation`` that `to_open_job` reads."""

Row = Mapping[str, object]


@attrs.frozen
class OpenJobs:
    """Lists a tenant's open jobs."""

    admin: AdminClient

    async def list_jobs(self, tenant: str, holder: str) -> tuple[OpenJob, ...]:
        """List a tenant's jobs that have not ended, the lock's holder first.

        Args:
            tenant: The tenant's key.
            holder: Id of the job that has the lock; empty if no job has it.
        """
        try:
            holders = [holder] if holder else []
            ids = tuple(dict.fromkeys([*holders, *await self._find_failing(tenant)]))
            rows = await self._query_jobs(ids) if ids else {}
        except EngineError as error:
            unknown = JobState.UNKNOWN
            return (
                OpenJob(execution_id=holder, state=unknown, code=error.code, reason=error.message),
            )
        return tuple(to_open_job(rows[job]) for job in ids if job in rows)

    async def _find_failing(self, tenant: str) -> list[str]:
        # This table is in Restate's memory, and lists only invocations that run or back off.
        rows = await self.admin.query(
            "SELECT id FROM sys_invocation_state"  # noqa: S608  # quoted
            f" WHERE strpos(last_failure, {literal(name_tenant(tenant))}) > 0"
        )
        return sorted(str(row["id"]) for row in rows)

    async def _query_jobs(self, ids: tuple[str, ...]) -> Mapping[str, Row]:
        quoted = ", ".join(map(literal, ids))
        rows = await self.admin.query(
            f"SELECT {COLUMNS} FROM sys_invocation WHERE id IN ({quoted})"  # noqa: S608  # quoted
            f" AND status <> '{Status.COMPLETED}'"
        )
        return {str(row["id"]): row for row in rows}


def to_open_job(row: Row) -> OpenJob:
    """Describe an invocation that has not ended."""
    failure = read_failure(str(row.get("last_failure", "")))
    return OpenJob(
        execution_id=str(row["id"]),
        state=_read_state(str(row["status"]), failure),
        since=str(row["created_at"]),
        attempts=int(str(row.get("retry_count", 0))),
        code=failure.code or str(row.get("last_failure_error_code", "")),
        reason=failure.reason,
        next_try_at=str(row.get("next_retry_at", "")),
    )


def _read_state(status: str, failure: JobFailure) -> JobState:
    if status == Status.PAUSED:
        return JobState.PAUSED
    return failure.state if status == Status.BACKING_OFF else JobState.RUNNING
