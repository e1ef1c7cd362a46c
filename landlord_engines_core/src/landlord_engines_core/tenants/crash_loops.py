"""Crash loops: a job whose worker dies at every attempt is set apart, that is, retried alone.

All jobs that ran in a worker that died have lost an attempt, and nothing shows which of them caused
it. They are therefore retried one after the other, after a pause. The harmless ones complete. The
harmful one kills one worker per attempt, and the pauses between its attempts grow.
"""

from collections import OrderedDict
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from time import monotonic

import attrs

from landlord_engines_core.errors import SetApart
from landlord_engines_core.logs import Logger
from landlord_engines_core.metrics import JobMetrics
from landlord_engines_core.steps import LostAttempts

__all__ = ["CrashLoops"]

SET_APART_FROM = 3
"""Lost attempts in a row that set a job apart; rolling updates and node failures cost one or two."""

# Two lost attempts in a row look like one to Restate. An error is raised between them, and this is its
# pause.
SHORT_PAUSE = 0.25
"""Seconds before the next attempt, after one or two lost ones."""

FIRST_PAUSE = 30.0
LONGEST_PAUSE = 3600.0
"""Seconds before a job that is set apart is tried again; each pause is twice the previous one."""

# Short: a job that kills its worker mostly does so immediately, and after a node failure a hundred
# jobs wait for each other.
ALONE_SECONDS = 5.0
"""Seconds for which no other job that is set apart is tried."""

RETRY_ALONE_INTERVAL = 2.0
"""Seconds after which a waiting job asks again whether it may run alone."""

_HINT = (
    "find out why the worker ended, for example at its memory limit; a newer job of the tenant"
    " replaces this one"
)


@attrs.frozen
class _ApartJob:
    """A job that is set apart.

    Attributes:
        count: Its lost attempts.
        counted_until: The time until which the metric counts it; 0 while it is tried.
    """

    count: int
    counted_until: float


@attrs.define(kw_only=True)
class CrashLoops:
    """Jobs that this process has set apart.

    Attributes:
        logger: Receives a line for each of them.
        metrics: Counts lost attempts.
        limit: How many jobs are remembered, for the metric and for their transitions.
    """

    logger: Logger
    metrics: JobMetrics
    limit: int = 10_000
    _apart: OrderedDict[str, _ApartJob] = attrs.field(factory=OrderedDict, init=False)
    _alone_job: str = attrs.field(default="", init=False)
    _alone_until: float = attrs.field(default=0.0, init=False)

    def __len__(self) -> int:
        now = monotonic()
        # ``list`` copies atomically: the event loop's thread may write meanwhile.
        return sum(1 for apart in list(self._apart.values()) if apart.counted_until > now)

    @contextmanager
    def attempt(
        self, execution_id: str, lost: LostAttempts, tenant: Callable[[], str]
    ) -> Iterator[None]:
        """Enter an attempt of a job that has lost attempts, or delay it.

        Args:
            execution_id: The job.
            lost: Its lost attempts.
            tenant: Returns the job's tenant; empty if reading it costs too much.

        Raises:
            SetApart: The job has to be tried again after a pause; a short one before it is set apart.
        """
        if lost.is_new:
            self.metrics.count_lost_attempt()
            raise self._delay(execution_id, lost.count, tenant())
        if lost.count < SET_APART_FROM:
            yield
            return
        now = monotonic()
        if self._alone_job and now < self._alone_until:
            raise SetApart(
                f"the job waits until {self._alone_job} was tried alone: both have lost their worker",
                retry_after=RETRY_ALONE_INTERVAL,
            )
        self.logger.warning(
            "job that was set apart is tried by itself",
            execution_id=execution_id,
            tenant=tenant(),
            lost_attempts=lost.count,
        )
        self._remember(execution_id, _ApartJob(lost.count, 0.0))
        self._alone_job, self._alone_until = execution_id, now + ALONE_SECONDS
        try:
            yield
        finally:
            if self._alone_job == execution_id:
                self._alone_job = ""

    def add_lost_attempts(self, execution_id: str, detail: str) -> str:
        """Add a job's lost attempts, if any, to the detail of its transition."""
        apart = self._apart.get(execution_id)
        if apart is None:
            return detail
        lost = f"its worker had ended during the job {apart.count} times in a row"
        return f"{detail}; {lost}" if detail else lost

    def _delay(self, execution_id: str, count: int, tenant: str) -> SetApart:
        if count < SET_APART_FROM:
            return SetApart(_describe_lost(count), retry_after=SHORT_PAUSE)
        # The exponent is capped too: a job that fails for weeks must not overflow a float.
        pause = min(LONGEST_PAUSE, FIRST_PAUSE * 2.0 ** min(count - SET_APART_FROM, 20))
        # Longer than the pause: the backend may be late.
        self._remember(execution_id, _ApartJob(count, monotonic() + 2 * pause))
        self.logger.warning(
            "job set apart",
            execution_id=execution_id,
            tenant=tenant,
            lost_attempts=count,
            pause=pause,
        )
        message = f"{_describe_lost(count)}: it is set apart, and tried again alone in {pause:g} s"
        return SetApart(message, hint=_HINT, retry_after=pause)

    def _remember(self, execution_id: str, apart: _ApartJob) -> None:
        self._apart[execution_id] = apart
        self._apart.move_to_end(execution_id)
        while len(self._apart) > self.limit:
            self._apart.popitem(last=False)


def _describe_lost(count: int) -> str:
    times = "once" if count == 1 else f"{count} times in a row"
    return f"the worker ended during this job {times}"
