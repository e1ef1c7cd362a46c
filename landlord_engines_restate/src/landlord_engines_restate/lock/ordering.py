"""Which of two jobs goes first, and whether the holder of a lock still runs.

Restate's ids contain no time, and jobs may arrive in any order after an outage. So this module reads
``created_at``, the time at which Restate accepted an invocation, from the admin API. It collects the
facts, and `landlord_engines_core.tenants.order` applies the rule.
"""

from collections.abc import Iterable, Mapping
from enum import StrEnum
from functools import partial

import attrs

from landlord_engines_core.errors import ExecutionEnded, Superseded
from landlord_engines_core.models import Record
from landlord_engines_core.retries import poll
from landlord_engines_core.tenants.order import Contender, IsDesired, is_superseded
from landlord_engines_restate.admin import AdminClient, AdminUnavailable, literal
from landlord_engines_restate.admin.dates import read_date
from landlord_engines_restate.admin.queries import IGNORES_CANCEL, Status

__all__ = ["Claim", "DispatchOrder", "Holder", "LockRequest", "Verdict", "to_contender"]

REPLAY = 5.0
"""Seconds for which a missing invocation is queried again."""
# After a crash a server lacks rows until it has replayed its log (observed on 1.7.12, milliseconds).

Row = Mapping[str, str]


class Verdict(StrEnum):
    """Result of comparing a job with the holder."""

    FREE = "free"
    """The holder has ended, or was killed."""
    RUNNING = "running"
    """The holder is older and still runs."""
    SUPERSEDED = "superseded"
    """The holder was dispatched later: the job that asks must not run."""


@attrs.frozen(kw_only=True)
class Holder:
    """The job that acquired the lock last; it may have ended.

    Attributes:
        since: When it asked for the lock, which is later than its dispatch.
        dispatched: When Restate accepted it; empty if no comparison needed it.
        operation: Its operation; empty if an earlier version wrote the state.
        is_resync: Whether it is a resync, which every job preempts.
    """

    execution_id: str
    since: str
    dispatched: str = ""
    operation: str = ""
    is_resync: bool = False


@attrs.frozen(kw_only=True)
class LockRequest:
    """A job that asks for a tenant's lock."""

    tenant: str
    execution_id: str
    operation: str
    is_uuid: bool


@attrs.frozen(kw_only=True)
class Claim:
    """Journaled answer of `DispatchOrder`; see `landlord_engines_restate.lock.claims`.

    Attributes:
        verdict: A value of `Verdict`.
        dispatched: When Restate accepted the job that asks, as Restate writes it.
    """

    verdict: str
    dispatched: str = ""


@attrs.frozen(kw_only=True)
class DispatchOrder:
    """Compares jobs by the times at which Restate accepted them.

    Attributes:
        admin: Restate's admin API.
        is_desired: Asks Landlord whether a tenant's resource is desired.
        replay: Seconds after which a missing invocation counts as deleted by Restate.
    """

    admin: AdminClient
    is_desired: IsDesired
    replay: float = REPLAY

    async def compare(
        self,
        lock_request: LockRequest,
        holder: Holder,
        record: Record,
        *,
        kill_running: bool = False,
    ) -> Claim:
        """Compare the job that asks for the lock with the holder.

        A cancellation does not reach a holder whose code does not run, so this method kills an older
        one. With ``kill_running`` it kills an older holder even while its code runs.

        Raises:
            AdminUnavailable: Restate's admin API gave no usable response.
            Transient: Landlord's API has to decide, and gave no usable response.
        """
        rows = await self._query_contenders(lock_request.execution_id, holder, record)
        dispatched = rows[lock_request.execution_id]["created_at"]
        holder_row = rows.get(holder.execution_id, {})
        if not holder.is_resync and await self._is_superseded(
            lock_request, dispatched, to_contender(holder, holder_row, record)
        ):
            return Claim(verdict=Verdict.SUPERSEDED, dispatched=dispatched)
        verdict = Verdict.FREE
        if not record.has_ended(holder.execution_id):
            verdict = await self._check_older(holder, holder_row, kill_running=kill_running)
        return Claim(verdict=verdict, dispatched=dispatched)

    async def check_current(self, job_id: str, holder: Holder | None, record: Record) -> None:
        """Make sure that this job lives and that no later job has acquired the lock.

        Raises:
            ExecutionEnded: Restate shows this job as ended, and it was the last holder.
            Superseded: A later job has the lock.
            AdminUnavailable: Restate's admin API gave no usable response.
        """
        # No job ever had the lock, so this job has done nothing yet that could conflict.
        if holder is None:
            return
        ids = dict.fromkeys((job_id, holder.execution_id))
        rows = await self._query_until_shown(job_id, "", ids, "sys_invocation_status")
        has_ended = rows[job_id]["status"] == Status.COMPLETED
        if holder.execution_id == job_id:
            if has_ended:
                raise ExecutionEnded(
                    f"Restate shows {job_id} as ended, and no later job has the lock"
                )
            return
        job = Contender(operation="", dispatched=read_date(rows[job_id]["created_at"]))
        other = to_contender(holder, rows.get(holder.execution_id, {}), record)
        if has_ended or other.is_later_than(job):
            raise Superseded(f"{holder.execution_id} has the tenant's lock")

    async def has_failed(self, execution_id: str) -> bool:
        """Whether a job ended without success: failed, cancelled, killed, or forgotten by Restate.

        Raises:
            AdminUnavailable: Restate's admin API gave no usable response.
        """
        rows = await self._query_rows("sys_invocation_status", (execution_id,))
        row = rows.get(execution_id)
        if row is None:
            return True
        is_success = row.get("completion_result", "failure") == "success"
        return row["status"] == Status.COMPLETED and not is_success

    async def _is_superseded(
        self, lock_request: LockRequest, dispatched: str, holder: Contender
    ) -> bool:
        job = Contender(operation=lock_request.operation, dispatched=read_date(dispatched))
        return await is_superseded(
            job,
            holder,
            # If the holder's operation is unknown, it may be a delete: only the times decide then.
            is_uuid=lock_request.is_uuid and bool(holder.operation),
            is_desired=partial(self.is_desired, lock_request.tenant),
        )

    async def _check_older(self, holder: Holder, row: Row, *, kill_running: bool) -> Verdict:
        """Decide whether an older holder still runs, and kill one that a cancel does not end."""
        # Restate forgets an invocation only after its end.
        status = row.get("status", Status.COMPLETED)
        if status == Status.COMPLETED:
            return Verdict.FREE
        if kill_running or status in IGNORES_CANCEL:
            await self.admin.kill(holder.execution_id)
            return Verdict.FREE
        return Verdict.RUNNING

    async def _query_contenders(
        self, job_id: str, holder: Holder, record: Record
    ) -> Mapping[str, Row]:
        """Read the two jobs' rows in one query, without those that the record makes needless."""
        holder_id = holder.execution_id
        if not record.has_ended(holder_id):
            # Only the view sys_invocation distinguishes a running holder from one that backs off. It
            # costs twice as much as sys_invocation_status.
            return await self._query_until_shown(
                job_id, holder_id, (job_id, holder_id), "sys_invocation"
            )
        # The record has the holder's end. If its dispatch is known too, its row adds nothing.
        ids = (job_id,) if holder.dispatched else (job_id, holder_id)
        return await self._query_until_shown(job_id, "", ids, "sys_invocation_status")

    async def _query_until_shown(
        self, job_id: str, holder_id: str, ids: Iterable[str], table: str
    ) -> Mapping[str, Row]:
        """Read rows; if the row of ``holder_id`` is missing, query again for `replay` seconds.

        Raises:
            AdminUnavailable: The row of ``job_id`` is missing.
        """
        pause = self.replay / 20
        rows = await poll(
            lambda: self._query_rows(table, tuple(ids)),
            lambda rows: bool(holder_id) and holder_id not in rows,
            first=pause,
            longest=pause,
            within=self.replay,
        )
        if job_id not in rows:
            raise AdminUnavailable(
                f"Restate at {self.admin.url} does not show this job, {job_id}, yet",
                hint="wait: the job is tried again",
            )
        return rows

    async def _query_rows(self, table: str, ids: tuple[str, ...]) -> Mapping[str, Row]:
        quoted = ", ".join(map(literal, ids))
        where = f"id IN ({quoted})" if len(ids) > 1 else f"id = {quoted}"
        rows = await self.admin.query(
            f"SELECT id, created_at, status, completion_result FROM {table} WHERE {where}"  # noqa: S608  # quoted
        )
        return {str(row["id"]): {key: str(value) for key, value in row.items()} for row in rows}


def to_contender(holder: Holder, row: Row, record: Record) -> Contender:
    """Describe a holder for the rule: from Restate's row if there is one, else from the lock's state."""
    dispatched = row.get("created_at") or holder.dispatched
    return Contender(
        operation=holder.operation,
        dispatched=read_date(dispatched) if dispatched else None,
        before=read_date(holder.since),
        killed=row.get("completion_result") == "failure"
        and not record.has_ended(holder.execution_id),
    )
