"""How many attempts of a job were lost with their worker, from data that Restate keeps anyway.

Restate appends each failed attempt to ``sys_journal_events``. A failure that equals the one before it
is folded into that row (observed on 1.7.12; not where Restate retries at once). A worker that is killed
during an attempt leaves a text of its own there. Core answers each loss with a failure before it goes
on. So two losses are never folded, and no journal entry and no state is needed.

Restate is asked only where an attempt came before this one and did not end in this process.
"""

from collections import OrderedDict
from collections.abc import Iterable, Mapping

import attrs

from landlord_engines_core import codec
from landlord_engines_core.errors import EngineError, SetApart
from landlord_engines_core.logs import Logger, error_fields
from landlord_engines_core.steps import NONE_LOST, LostAttempts
from landlord_engines_restate.admin import AdminClient, literal
from landlord_engines_restate.jobs import attempts
from landlord_engines_restate.jobs.attempts import Attempt

__all__ = ["AttemptLosses", "count_losses"]

_LOST = "reading the response body"
"""Text in the failure of an attempt whose worker was killed during it."""
# A worker that could not be reached leaves another text, as does one that answered. The attempt that
# follows those shows whether the job loses its worker.

_BY_WORKER = "RT0007"
"""Restate's code of a failure that the worker itself reported."""


@attrs.frozen(kw_only=True)
class _Failure:
    error_message: str = ""
    restate_doc_error_code: str = ""

    @property
    def is_loss(self) -> bool:
        return _LOST in self.error_message

    @property
    def is_answer(self) -> bool:
        """Whether core set the job apart after a lost attempt."""
        return self.error_message.startswith(SetApart.code)

    @property
    def is_relevant(self) -> bool:
        return self.is_loss or self.restate_doc_error_code == _BY_WORKER


@attrs.define(kw_only=True)
class AttemptLosses:
    """Counts the attempts that were lost with their worker; the process has one.

    Attributes:
        admin: Restate's admin API.
        logger: Logs that losses could not be counted.
        limit: Largest number of jobs whose last attempt's end is remembered.
    """

    admin: AdminClient
    logger: Logger
    limit: int = 10_000
    _ends: OrderedDict[str, Attempt] = attrs.field(factory=OrderedDict, init=False)

    async def count(self, execution_id: str) -> LostAttempts:
        """Count this job's losses; none where Restate's admin API gives no usable response."""
        attempt = attempts.current_attempt()
        if attempt is None or not attempt.retries:
            return NONE_LOST
        previous = Attempt(entries=attempt.entries, retries=attempt.retries - 1)
        if self._ends.get(execution_id) == previous:
            # The previous attempt ended in this process, which lives: no worker was lost.
            return NONE_LOST
        try:
            return count_losses(await self._query_failures(execution_id, attempt.entries - 1))
        except (EngineError, codec.BadDocument) as error:
            self.logger.warning(
                "lost attempts cannot be counted", execution_id=execution_id, **error_fields(error)
            )
            return NONE_LOST

    def note_end(self, execution_id: str) -> None:
        """Note that the attempt of this task ended without the loss of this worker."""
        if (attempt := attempts.current_attempt()) is None:
            return
        self._ends[execution_id] = attempt
        self._ends.move_to_end(execution_id)
        while len(self._ends) > self.limit:
            self._ends.popitem(last=False)

    async def _query_failures(self, execution_id: str, entry: int) -> Iterable[_Failure]:
        """Read the failed attempts since the journal's last entry, the oldest first."""
        rows = await self.admin.query(
            "SELECT event_json FROM sys_journal_events"  # noqa: S608  # quoted
            f" WHERE id = {literal(execution_id)} AND event_type = 'TransientError'"
            f" AND after_journal_entry_index = {entry} ORDER BY appended_at"
        )
        return [_read_failure(row) for row in rows]


def count_losses(failures: Iterable[_Failure]) -> LostAttempts:
    """Count the lost attempts after the last failure that the job itself caused."""
    count, is_new = 0, False
    for failure in failures:
        if not failure.is_relevant:
            continue
        if failure.is_loss:
            count, is_new = count + 1, True
        elif failure.is_answer:
            is_new = False
        else:
            # The worker reported a failure, so it survived this attempt: counting starts over.
            count, is_new = 0, False
    return LostAttempts(count=count, is_new=is_new)


def _read_failure(row: Mapping[str, object]) -> _Failure:
    return codec.loads(str(row.get("event_json", "")).encode(), _Failure)
