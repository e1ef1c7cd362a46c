"""Which of two jobs was dispatched last, and whether the one that holds the turn still runs.

Restate's ids carry no time and jobs may arrive in any order after an outage, so the admin API is
asked: ``sys_invocation.created_at`` is when an invocation was accepted.
"""

from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from enum import StrEnum

import attrs
import backoff

from landlord_engines_core.errors import Superseded
from landlord_engines_core.models import Record
from landlord_engines_restate.admin import AdminClient, AdminUnavailable, literal

__all__ = ["Claim", "Holder", "Rivals", "Verdict"]

LATEST_ARRIVAL = timedelta(minutes=10)
"""How late a job may arrive and still be compared with one that has ended."""

REPLAY = 5.0
"""Seconds for which an invocation that is not shown is looked for again: a server that was killed
shows less than it knows until it has read its log again (observed on 1.7.12, for milliseconds)."""

_STANDING_STILL = ("backing-off", "paused")
"""States in which none of an invocation's code runs, so that it would not notice a cancel."""


class Verdict(StrEnum):
    """What a claim of the turn comes to."""

    FREE = "free"
    RUNNING = "running"
    """The holder is older and still runs."""
    SUPERSEDED = "superseded"


@attrs.frozen(kw_only=True)
class Holder:
    """The job that took the turn last; it may have ended since.

    Attributes:
        settles: It is no job but settles the tenant, and gives way to any job.
    """

    execution_id: str
    since: str
    settles: bool = False


@attrs.frozen(kw_only=True)
class Claim:
    """A journaled look at the holder: the time and what was found."""

    at: str
    verdict: str


@attrs.frozen(kw_only=True)
class Rivals:
    """Compares jobs by asking Restate's admin API.

    Attributes:
        admin: The admin API.
        replay: Seconds after which an invocation that is not shown counts as forgotten.
    """

    admin: AdminClient
    replay: float = REPLAY

    async def claim(self, me: str, holder: Holder | None, record: Record) -> Claim:
        """Decide between the job that wants the turn and the one that took it last.

        An older holder that stands still is killed here, since it could not give way by itself.

        Raises:
            AdminUnavailable: Restate's admin API gives no answer.
        """
        at = datetime.now(UTC)
        verdict = Verdict.FREE
        if holder is not None and holder.execution_id != me:
            late = at - datetime.fromisoformat(holder.since) > LATEST_ARRIVAL
            if not (late and record.has_ended(holder.execution_id)):
                verdict = await self._judge(me, holder)
        return Claim(at=at.isoformat(), verdict=verdict)

    async def check(self, me: str, holder: Holder | None) -> None:
        """Make sure that no job dispatched later than ``me`` has taken the turn.

        Raises:
            Superseded: One has.
            AdminUnavailable: Restate's admin API gives no answer.
        """
        if holder is None or holder.execution_id == me:
            return
        if _later(await self._invocations(me, holder.execution_id), holder.execution_id, me):
            raise Superseded(f"{holder.execution_id} was dispatched later")

    async def _judge(self, me: str, holder: Holder) -> Verdict:
        other = holder.execution_id
        found = await self._invocations(me, other)
        if not holder.settles and _later(found, other, me):
            return Verdict.SUPERSEDED
        status = found[other]["status"] if other in found else "completed"
        if status == "completed":
            return Verdict.FREE
        if status in _STANDING_STILL:
            await self.admin.kill(other)
            return Verdict.FREE
        return Verdict.RUNNING

    async def _invocations(self, me: str, other: str) -> dict[str, Mapping[str, str]]:
        """What Restate shows of two jobs; it lacks the other one only where that is forgotten."""
        look = backoff.on_predicate(
            backoff.constant,
            lambda found: other not in found,
            interval=self.replay / 20,
            max_time=self.replay,
            jitter=None,
            logger=None,
        )(self._shown)
        found: dict[str, Mapping[str, str]] = await look(me, other)
        if me not in found:
            raise AdminUnavailable(f"Restate at {self.admin.url} does not show this very job yet")
        return found

    async def _shown(self, *ids: str) -> dict[str, Mapping[str, str]]:
        wanted = ", ".join(literal(one) for one in ids)
        rows = await self.admin.query(
            f"SELECT id, created_at, status FROM sys_invocation WHERE id IN ({wanted})"  # noqa: S608  # quoted
        )
        return {str(row["id"]): {key: str(value) for key, value in row.items()} for row in rows}


def _later(found: Mapping[str, Mapping[str, str]], one: str, other: str) -> bool:
    """Whether ``one`` was dispatched after ``other``; what Restate has forgotten was not."""
    if one not in found or other not in found:
        return False
    # Not compared as text: Restate leaves the fraction out where it is zero.
    first, second = (datetime.fromisoformat(found[job]["created_at"]) for job in (one, other))
    return first > second
