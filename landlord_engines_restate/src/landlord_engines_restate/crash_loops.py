"""How many attempts of a job were lost with their worker, from what Restate keeps anyway.

Restate appends each failed attempt to ``sys_journal_events`` and folds those that follow an equal one
into it (observed on 1.7.12; not where a retry is to follow at once). A worker that is killed in an
attempt leaves a text of its own there. Core answers each such loss with a failure before it goes on,
so that two losses are never folded, and no entry of a journal and no state is written for all this.

A job is asked about only where Restate says that an attempt came before this one, and where that did
not end in this process.
"""

from collections import OrderedDict
from collections.abc import Iterable, Mapping

import attrs

from landlord_engines_core import codec
from landlord_engines_core.errors import EngineError, SetApart
from landlord_engines_core.logs import Logger, error_fields
from landlord_engines_core.steps import NONE_LOST, LostAttempts
from landlord_engines_restate import attempts
from landlord_engines_restate.admin import AdminClient, literal
from landlord_engines_restate.attempts import Attempt

__all__ = ["AttemptLosses"]

_LOST = "reading the response body"
"""In the failure of an attempt whose worker ended in the midst of it. One that could not be reached
says something else, and so does one that answered; both are followed by an attempt that is lost, or is
not."""

_BY_THE_WORKER = "RT0007"
"""Restate's code of a failure that the worker itself has told."""


@attrs.frozen(kw_only=True)
class _Failure:
    error_message: str = ""
    restate_doc_error_code: str = ""

    @property
    def is_loss(self) -> bool:
        return _LOST in self.error_message

    @property
    def is_answer(self) -> bool:
        """Whether core has put the job off for an attempt that was lost."""
        return self.error_message.startswith(SetApart.code)

    @property
    def counts(self) -> bool:
        return self.is_loss or self.restate_doc_error_code == _BY_THE_WORKER


@attrs.define(kw_only=True)
class AttemptLosses:
    """Counts the attempts that were lost with their worker; one for the whole process.

    Attributes:
        admin: Restate's admin API.
        logger: Where it is told that nothing could be counted.
        limit: How many jobs are remembered whose last attempt ended here.
    """

    admin: AdminClient
    logger: Logger
    limit: int = 10_000
    _ended: OrderedDict[str, Attempt] = attrs.field(factory=OrderedDict, init=False)

    async def count(self, execution_id: str) -> LostAttempts:
        """Count those of this job; none where Restate's admin API gives no answer."""
        attempt = attempts.current()
        if attempt is None or not attempt.retries:
            return NONE_LOST
        before = Attempt(entries=attempt.entries, retries=attempt.retries - 1)
        if self._ended.get(execution_id) == before:
            return NONE_LOST
        try:
            return lost_in(await self._failures(execution_id, attempt.entries - 1))
        except (EngineError, codec.BadDocument) as error:
            self.logger.warning(
                "lost attempts cannot be counted", execution_id=execution_id, **error_fields(error)
            )
            return NONE_LOST

    def ended(self, execution_id: str) -> None:
        """Note that the attempt which this task carries out has not lost its worker."""
        if (attempt := attempts.current()) is None:
            return
        self._ended[execution_id] = attempt
        self._ended.move_to_end(execution_id)
        while len(self._ended) > self.limit:
            self._ended.popitem(last=False)

    async def _failures(self, execution_id: str, entry: int) -> Iterable[_Failure]:
        """The failed attempts since the journal's last entry, the oldest first."""
        rows = await self.admin.query(
            "SELECT event_json FROM sys_journal_events"  # noqa: S608  # quoted
            f" WHERE id = {literal(execution_id)} AND event_type = 'TransientError'"
            f" AND after_journal_entry_index = {entry} ORDER BY appended_at"
        )
        return [_read(row) for row in rows]


def lost_in(failures: Iterable[_Failure]) -> LostAttempts:
    """Count the lost attempts after the last failure that the job has had by itself."""
    count, is_new = 0, False
    for failure in failures:
        if not failure.counts:
            continue
        if failure.is_loss:
            count, is_new = count + 1, True
        elif failure.is_answer:
            is_new = False
        else:
            count, is_new = 0, False
    return LostAttempts(count=count, is_new=is_new)


def _read(row: Mapping[str, object]) -> _Failure:
    return codec.loads(str(row.get("event_json", "")).encode(), _Failure)
