"""Counts a job's lost attempts, whose worker died during them, from data that Restate keeps anyway.

Restate appends each failed attempt to ``sys_journal_events``. Restate merges a failure into the previous
row if both are equal (observed on 1.7.12; not if it retries at once). A worker's death during an attempt
has a distinct text there. Core sets the job apart after each loss, which is a different failure. Two
losses are therefore never merged, and counting needs no journal entry and no state.

Restate is queried only if a previous attempt exists and did not end in this process.
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

_NONE_LOST_AT_RETRY = LostAttempts(is_retry=True)

_LOSS_TEXT = "reading the response body"
"""Text in the failure of an attempt whose worker died during it."""
# An unreachable worker, or one that reported a failure, leaves another text. Neither is a loss.

_WORKER_REPORTED = "RT0007"
"""Restate's code of a failure that the worker itself reported."""


@attrs.frozen(kw_only=True)
class _Failure:
    error_message: str = ""
    restate_doc_error_code: str = ""

    @property
    def is_loss(self) -> bool:
        return _LOSS_TEXT in self.error_message

    @property
    def is_set_apart(self) -> bool:
        """Whether core set the job apart, as it does after each loss."""
        return self.error_message.startswith(SetApart.code)

    @property
    def is_relevant(self) -> bool:
        return self.is_loss or self.restate_doc_error_code == _WORKER_REPORTED


@attrs.define(kw_only=True)
class AttemptLosses:
    """Counts lost attempts; a worker process has one instance.

    Attributes:
        admin: Restate's admin API.
        logger: Logs if losses cannot be counted.
        limit: Largest number of jobs whose last survived attempt is remembered.
    """

    admin: AdminClient
    logger: Logger
    limit: int = 10_000
    _survived: OrderedDict[str, Attempt] = attrs.field(factory=OrderedDict, init=False)

    async def count(self, execution_id: str) -> LostAttempts:
        """Count this job's losses; none if Restate's admin API gives no usable response."""
        attempt = attempts.current_attempt()
        if attempt is None or not attempt.retries:
            return NONE_LOST
        previous = Attempt(entries=attempt.entries, retries=attempt.retries - 1)
        if self._survived.get(execution_id) == previous:
            # The previous attempt ended in this process, so no worker died.
            return _NONE_LOST_AT_RETRY
        try:
            return count_losses(await self._query_failures(execution_id, attempt.entries - 1))
        except (EngineError, codec.BadDocument) as error:
            self.logger.warning(
                "lost attempts cannot be counted", execution_id=execution_id, **error_fields(error)
            )
            return _NONE_LOST_AT_RETRY

    def note_end(self, execution_id: str) -> None:
        """Note that this task's attempt ended while this worker survived, so that it is no loss."""
        if (attempt := attempts.current_attempt()) is None:
            return
        self._survived[execution_id] = attempt
        self._survived.move_to_end(execution_id)
        while len(self._survived) > self.limit:
            self._survived.popitem(last=False)

    async def _query_failures(self, execution_id: str, entry: int) -> Iterable[_Failure]:
        """Read the failed attempts since the journal's last entry, the oldest first."""
        rows = await self.admin.query(
            "SELECT event_json FROM sys_journal_events"  # noqa: S608  # quoted
            f" WHERE id = {literal(execution_id)} AND event_type = 'TransientError'"
            f" AND after_journal_entry_index = {entry} ORDER BY appended_at"
        )
        return [_read_failure(row) for row in rows]


def count_losses(failures: Iterable[_Failure]) -> LostAttempts:
    """Count the lost attempts since the last failure that a worker reported."""
    count, is_new = 0, False
    for failure in failures:
        if not failure.is_relevant:
            continue
        if failure.is_loss:
            count, is_new = count + 1, True
        elif failure.is_set_apart:
            is_new = False
        else:
            # The worker reported a failure, so it survived this attempt: counting starts over.
            count, is_new = 0, False
    return LostAttempts(count=count, is_new=is_new, is_retry=True)


def _read_failure(row: Mapping[str, object]) -> _Failure:
    return codec.loads(str(row.get("event_json", "")).encode(), _Failure)
