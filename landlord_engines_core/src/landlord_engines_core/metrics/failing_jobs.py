"""Jobs that failed in this process, and that the backend tries again."""

import math
from time import monotonic

import attrs

from landlord_engines_core.errors import Held, Transient

__all__ = ["FailingJobs"]

_BACKOFF = 30.0
"""Seconds until a backend tries a job again at most, unless the target named a pause."""


@attrs.frozen
class _Failure:
    """The last failure of a job.

    Attributes:
        step: The step that failed.
        since: When the job failed for the first time in a row.
        until: The time from which the job counts as killed, or as continued in another worker.
    """

    step: str
    since: float
    until: float


@attrs.define
class FailingJobs:
    """Jobs whose last attempt in this process failed with one class of error.

    The backend enters such a job again after a pause. A job without an attempt for three pauses was
    killed, or continues in another worker. It is forgotten.

    Attributes:
        kind: The failure; subclasses of it do not count.
        limit: How many jobs are remembered; the oldest is forgotten first.
    """

    kind: type[Held] | type[Transient]
    limit: int = 10_000
    _failures: dict[str, _Failure] = attrs.field(factory=dict, init=False)

    def __len__(self) -> int:
        now = monotonic()
        # Copied in one step of the interpreter: the event loop may write meanwhile.
        return sum(1 for failure in list(self._failures.values()) if failure.until > now)

    def oldest_age(self) -> float:
        """Return the seconds since the first failure of the job that fails for longest, 0 without one."""
        now = monotonic()
        failures = list(self._failures.values())
        return max((now - failure.since for failure in failures if failure.until > now), default=0)

    def note(self, execution_id: str, step: str, error: BaseException | None) -> None:
        """Note the failure of a step's attempt, or ``None``."""
        former = self._failures.get(execution_id)
        if error is None and former is not None and former.step != step:
            # A backend without a journal repeats the steps before the one that failed.
            return
        if former is not None:
            del self._failures[execution_id]
        if isinstance(error, Held | Transient) and type(error) is self.kind:
            now, pause = monotonic(), error.retry_after
            since = now if former is None or former.until <= now else former.since
            until = now + 3 * (_BACKOFF if pause is None else pause)
            self._failures[execution_id] = _Failure(step, since, until)
            while len(self._failures) > self.limit or self._first() <= now:
                del self._failures[next(iter(self._failures))]

    def _first(self) -> float:
        return next((failure.until for failure in self._failures.values()), math.inf)
