"""Jobs that failed in this process, and that the backend tries again."""

import math
from time import monotonic

import attrs

from landlord_engines_core.errors import Held, Transient

__all__ = ["FailingJobs"]

_BACKOFF = 30.0
"""Seconds until a backend tries a job again at most, unless the target named a pause."""


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
    _until: dict[str, float] = attrs.field(factory=dict, init=False)

    def __len__(self) -> int:
        now = monotonic()
        # Copied in one step of the interpreter: the event loop may write meanwhile.
        return sum(1 for until in list(self._until.values()) if until > now)

    def note(self, execution_id: str, error: BaseException | None) -> None:
        """Note the failure of a step's attempt, or ``None``."""
        if self._until:
            self._until.pop(execution_id, None)
        if isinstance(error, Held | Transient) and type(error) is self.kind:
            now, pause = monotonic(), error.retry_after
            self._until[execution_id] = now + 3 * (_BACKOFF if pause is None else pause)
            while len(self._until) > self.limit or self._first() <= now:
                del self._until[next(iter(self._until))]

    def _first(self) -> float:
        return next(iter(self._until.values()), math.inf)
