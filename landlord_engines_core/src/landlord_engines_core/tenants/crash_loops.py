"""Sets a job apart whose worker is killed each time that it is tried.

Nobody can tell the job that kills its worker from the others that it had begun: all have lost their
attempts. So after a pause they are tried again one after the other. Those that are innocent end then;
the other one loses a worker once in a pause, and the pauses grow.
"""

from collections import OrderedDict
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from time import monotonic

import attrs

from landlord_engines_core.errors import SetApart
from landlord_engines_core.logs import Logger
from landlord_engines_core.metrics import Metrics
from landlord_engines_core.steps import LostAttempts

__all__ = ["CrashLoops"]

SET_APART_FROM = 3
"""Lost attempts in a row. One or two have rolling updates and dying nodes, too."""

AT_ONCE = 0.25
"""Seconds after one or two lost attempts. A failure in between is what keeps the next loss apart from
this one where the backend folds equal failures into one, as Restate does."""

FIRST_PAUSE = 30.0
LONGEST_PAUSE = 3600.0
"""Seconds before a job that is set apart is tried again; each time twice as many."""

ALONE_FOR = 5.0
"""Seconds for which a job is tried before the next one may be. A job that kills its worker most often
does so at once; and where a hundred were in flight on a node that died, the last must not wait long."""

NEXT_LOOK = 2.0
"""Seconds until a job looks again whether it is its lock to be tried."""

_HINT = (
    "see why the worker ended, for example at its memory limit; a newer job of the tenant takes over,"
    " and killing this one ends it"
)


@attrs.frozen
class _Apart:
    count: int
    until: float


@attrs.define(kw_only=True)
class CrashLoops:
    """The jobs that were set apart in this process; one for the whole process.

    Attributes:
        logger: Where each is named.
        metrics: Where lost attempts are counted.
        limit: How many jobs are remembered, for the metric and for their transitions.
    """

    logger: Logger
    metrics: Metrics
    limit: int = 10_000
    _apart: OrderedDict[str, _Apart] = attrs.field(factory=OrderedDict, init=False)
    _tried: str = attrs.field(default="", init=False)
    _alone_until: float = attrs.field(default=0.0, init=False)

    def __len__(self) -> int:
        now = monotonic()
        # The copy is one act of the interpreter: the event loop may write meanwhile.
        return sum(1 for one in list(self._apart.values()) if one.until > now)

    @contextmanager
    def attempt(
        self, execution_id: str, lost: LostAttempts, tenant: Callable[[], str]
    ) -> Iterator[None]:
        """Carry out an attempt of a job that has lost some, or put it off.

        Args:
            execution_id: The job.
            lost: What it has lost.
            tenant: Says whose job it is; empty where that would take too much to find out.

        Raises:
            SetApart: It is to be tried again after a pause.
        """
        if lost.is_new:
            self.metrics.attempt_lost()
            raise self._put_off(execution_id, lost.count, tenant())
        if lost.count < SET_APART_FROM:
            yield
            return
        now = monotonic()
        if self._tried and now < self._alone_until:
            raise SetApart(
                f"waits until {self._tried} has been tried by itself: both have lost their worker",
                retry_after=NEXT_LOOK,
            )
        self.logger.warning(
            "job that was set apart is tried by itself",
            execution_id=execution_id,
            tenant=tenant(),
            lost_attempts=lost.count,
        )
        self._remember(execution_id, _Apart(lost.count, 0.0))
        self._tried, self._alone_until = execution_id, now + ALONE_FOR
        try:
            yield
        finally:
            if self._tried == execution_id:
                self._tried = ""

    def add_lost_attempts(self, execution_id: str, detail: str) -> str:
        """The detail of a job's transition, with what is remembered of its lost attempts."""
        apart = self._apart.get(execution_id)
        if apart is None:
            return detail
        lost = f"its worker had ended in the midst of it {apart.count} times in a row"
        return f"{detail}; {lost}" if detail else lost

    def _put_off(self, execution_id: str, count: int, tenant: str) -> SetApart:
        if count < SET_APART_FROM:
            return SetApart(_lost(count), retry_after=AT_ONCE)
        # The exponent is capped too: a job that fails for weeks must not overflow a float.
        pause = min(LONGEST_PAUSE, FIRST_PAUSE * 2.0 ** min(count - SET_APART_FROM, 20))
        self._remember(execution_id, _Apart(count, monotonic() + 2 * pause))
        self.logger.warning(
            "job set apart",
            execution_id=execution_id,
            tenant=tenant,
            lost_attempts=count,
            pause=pause,
        )
        again = f"{_lost(count)}: set apart, and tried again by itself in {pause:g} s"
        return SetApart(again, hint=_HINT, retry_after=pause)

    def _remember(self, execution_id: str, apart: _Apart) -> None:
        self._apart[execution_id] = apart
        self._apart.move_to_end(execution_id)
        while len(self._apart) > self.limit:
            self._apart.popitem(last=False)


def _lost(count: int) -> str:
    times = "once" if count == 1 else f"{count} times in a row"
    return f"the worker ended in the midst of this job {times}"
