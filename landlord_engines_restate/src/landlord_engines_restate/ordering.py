"""Which of two jobs goes first, and whether the one that had the lock last still runs.

Restate's ids carry no time and jobs may arrive in any order after an outage, so the admin API is
asked: ``created_at`` is when an invocation was accepted. What each answer means for the two is core's
to say (`landlord_engines_core.tenants.order`).
"""

from collections.abc import Mapping
from enum import StrEnum
from functools import partial

import attrs
import backoff

from landlord_engines_core.errors import ExecutionEnded, Superseded
from landlord_engines_core.models import Record
from landlord_engines_core.tenants.order import Contender, IsWanted, is_superseded
from landlord_engines_restate.admin import AdminClient, AdminUnavailable, literal
from landlord_engines_restate.dates import read_date

__all__ = ["Bid", "Claim", "DispatchOrder", "Holder", "Verdict"]

REPLAY = 5.0
"""Seconds for which an invocation that is not shown is looked for again: a server that was killed
shows less than it knows until it has read its log again (observed on 1.7.12, for milliseconds)."""

_STANDING_STILL = ("backing-off", "paused")
"""States in which none of an invocation's code runs, so that it would not notice a cancel."""

_ENDED = "completed"

Row = Mapping[str, str]


class Verdict(StrEnum):
    """What a claim of the lock comes to."""

    FREE = "free"
    RUNNING = "running"
    """The holder is older and still runs."""
    SUPERSEDED = "superseded"


@attrs.frozen(kw_only=True)
class Holder:
    """The job that acquired the lock last; it may have ended since.

    Attributes:
        since: When it acquired the lock at the latest, which is after its dispatch.
        dispatched: When Restate accepted it; empty where nobody had to ask.
        operation: What it does; empty where an earlier version wrote it.
        resyncs: It is no job but resyncs the tenant, and gives way to any job.
    """

    execution_id: str
    since: str
    dispatched: str = ""
    operation: str = ""
    is_resync: bool = False


@attrs.frozen(kw_only=True)
class Bid:
    """A job that asks for a tenant's lock."""

    tenant: str
    execution_id: str
    operation: str
    is_uuid: bool


@attrs.frozen(kw_only=True)
class Claim:
    """A journaled look at the holder.

    Attributes:
        verdict: A word of `Verdict`.
        dispatched: When Restate accepted the job that asks, as Restate writes it.
    """

    verdict: str
    dispatched: str = ""


@attrs.frozen(kw_only=True)
class DispatchOrder:
    """Compares jobs by asking Restate's admin API.

    Attributes:
        admin: The admin API.
        is_wanted: Asks Landlord whether it wants a tenant's resource.
        replay: Seconds after which an invocation that is not shown counts as forgotten.
    """

    admin: AdminClient
    is_wanted: IsWanted
    replay: float = REPLAY

    async def claim(
        self, bid: Bid, holder: Holder, record: Record, *, insist: bool = False
    ) -> Claim:
        """Decide between the job that wants the lock and the one that took it last.

        An older holder that stands still is killed here, since it could not give way by itself; so
        is one that has had its time to, where the caller insists.

        Raises:
            AdminUnavailable: Restate's admin API gives no answer.
            Transient: Landlord is to be asked, and its API gives no answer.
        """
        rows = await self._rows(bid.execution_id, holder, record)
        mine = rows[bid.execution_id]["created_at"]
        other = rows.get(holder.execution_id, {})
        if not holder.is_resync and await self._gives_way(bid, mine, holder, other, record):
            return Claim(verdict=Verdict.SUPERSEDED, dispatched=mine)
        verdict = Verdict.FREE
        if not record.has_ended(holder.execution_id):
            verdict = await self._drop_traceback(holder, other, insist=insist)
        return Claim(verdict=verdict, dispatched=mine)

    async def check(self, me: str, holder: Holder | None, record: Record) -> None:
        """Make sure that this job lives, and that no job dispatched later has acquired the lock.

        Before anybody has had the lock nothing is asked: such a job has done nothing yet.

        Raises:
            ExecutionEnded: Restate shows this job as ended, and it was the last to have the lock.
            Superseded: A younger job has the lock.
            AdminUnavailable: Restate's admin API gives no answer.
        """
        if holder is None:
            return
        ids = dict.fromkeys((me, holder.execution_id))
        rows = await self._seen(me, "", ids, "sys_invocation_status")
        ended = rows[me]["status"] == _ENDED
        if holder.execution_id == me:
            if ended:
                raise ExecutionEnded(f"Restate shows {me} as ended, and nobody has followed it")
            return
        asks = Contender(operation="", dispatched=read_date(rows[me]["created_at"]))
        other = _contender(holder, rows.get(holder.execution_id, {}), record)
        if ended or other.is_later_than(asks):
            raise Superseded(f"{holder.execution_id} has the tenant's lock")

    async def fate(self, execution_id: str) -> str:
        """How an invocation has ended: success, failure; empty while it has not, or is forgotten.

        Raises:
            AdminUnavailable: Restate's admin API gives no answer.
        """
        rows = await self._shown("sys_invocation_status", (execution_id,))
        row = rows.get(execution_id)
        if row is None:
            return "failure"
        return row.get("completion_result", "failure") if row["status"] == _ENDED else ""

    async def _gives_way(
        self, bid: Bid, mine: str, holder: Holder, other: Row, record: Record
    ) -> bool:
        asks = Contender(operation=bid.operation, dispatched=read_date(mine))
        return await is_superseded(
            asks,
            _contender(holder, other, record),
            is_uuid=bid.is_uuid and bool(holder.operation),
            is_wanted=partial(self.is_wanted, bid.tenant),
        )

    async def _drop_traceback(self, holder: Holder, row: Row, *, insist: bool) -> Verdict:
        """Whether an older holder still runs; one that does not give way is killed."""
        status = row.get("status", _ENDED)
        if status == _ENDED:
            return Verdict.FREE
        if insist or status in _STANDING_STILL:
            await self.admin.kill(holder.execution_id)
            return Verdict.FREE
        return Verdict.RUNNING

    async def _rows(self, me: str, holder: Holder, record: Record) -> dict[str, Row]:
        """What has to be known of the two, in one query.

        Of a holder whose end and whose dispatch are written down nothing is asked. The view
        ``sys_invocation`` tells a running holder from one that backs off, and costs twice as much.
        """
        other = holder.execution_id
        if not record.has_ended(other):
            return await self._seen(me, other, (me, other), "sys_invocation")
        if holder.dispatched:
            return await self._seen(me, "", (me,), "sys_invocation_status")
        return await self._seen(me, "", (me, other), "sys_invocation_status")

    async def _seen(
        self, me: str, other: str, ids: Mapping[str, None] | tuple[str, ...], table: str
    ) -> dict[str, Row]:
        """What Restate shows of these; ``other`` is looked for again for a while."""
        look = backoff.on_predicate(
            backoff.constant,
            lambda found: bool(other) and other not in found,
            interval=self.replay / 20,
            max_time=self.replay,
            jitter=None,
            logger=None,
        )(self._shown)
        found: dict[str, Row] = await look(table, tuple(ids))
        if me not in found:
            raise AdminUnavailable(f"Restate at {self.admin.url} does not show this very job yet")
        return found

    async def _shown(self, table: str, ids: tuple[str, ...]) -> dict[str, Row]:
        wanted = ", ".join(literal(one) for one in ids)
        where = f"id IN ({wanted})" if len(ids) > 1 else f"id = {wanted}"
        rows = await self.admin.query(
            f"SELECT id, created_at, status, completion_result FROM {table} WHERE {where}"  # noqa: S608  # quoted
        )
        return {str(row["id"]): {key: str(value) for key, value in row.items()} for row in rows}


def _contender(holder: Holder, row: Row, record: Record) -> Contender:
    dispatched = row.get("created_at") or holder.dispatched
    return Contender(
        operation=holder.operation,
        dispatched=read_date(dispatched) if dispatched else None,
        before=read_date(holder.since),
        killed=row.get("completion_result") == "failure"
        and not record.has_ended(holder.execution_id),
    )
