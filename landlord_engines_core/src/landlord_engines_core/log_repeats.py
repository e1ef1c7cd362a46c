"""Filter that logs a repeated failure once per interval, with the number of lines left out."""

import logging
from collections.abc import Callable, Mapping
from time import monotonic

import attrs

__all__ = ["Repeats"]

INTERVAL = 10.0
"""Seconds in which a failure counts as repeated."""

OWN_LIMIT = 100
"""Equal lines of this framework in an interval, since jobs share them. A library may log one line."""

MAX_KINDS = 1000
"""Kinds of failures that are counted; at this number all counts are reset, to bound the memory."""

_Kind = tuple[str, int, str, str]


@attrs.define
class _Count:
    since: float
    passed: int = 1
    left_out: int = 0


@attrs.define(eq=False)
class Repeats(logging.Filter):
    """Filter that passes the first lines of each kind of warning or error in each interval.

    The first line of a later interval says how many were left out.
    """

    interval: float = INTERVAL
    clock: Callable[[], float] = monotonic
    _counts: dict[_Kind, _Count] = attrs.field(factory=dict, init=False)

    def filter(self, record: logging.LogRecord) -> bool:
        """Whether to write this line."""
        if record.levelno < logging.WARNING:
            return True
        kind, now = _kind(record), self.clock()
        count = self._counts.get(kind)
        if count is None or now - count.since >= self.interval:
            if len(self._counts) >= MAX_KINDS:
                self._counts.clear()
            self._counts[kind] = _Count(now)
            if count is not None and count.left_out:
                _annotate(record, count.left_out)
            return True
        if count.passed < (OWN_LIMIT if isinstance(record.msg, Mapping) else 1):
            count.passed += 1
            return True
        count.left_out += 1
        return False


def _kind(record: logging.LogRecord) -> _Kind:
    if isinstance(record.msg, Mapping):
        reason = record.msg.get("reason", record.msg.get("error", ""))
        return record.name, record.levelno, str(record.msg.get("message", "")), str(reason)
    # Without the arguments, which differ for the same failure: a peer's port, an object's address.
    return record.name, record.levelno, str(record.msg), ""


def _annotate(record: logging.LogRecord, left_out: int) -> None:
    if isinstance(record.msg, Mapping):
        record.msg = {**record.msg, "left_out": left_out}
    else:
        record.msg = f"{record.getMessage()} (and {left_out} times more since the last such line)"
        record.args = None
