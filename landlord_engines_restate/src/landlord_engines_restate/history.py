"""A tenant's past transitions as lines of JSON, which are added to and shown without being read.

They lie beside the turn's state, so that a job with fifty others behind it costs no more than the
first.
"""

from collections.abc import Iterable

from landlord_engines_core import codec
from landlord_engines_core.models import HISTORY, Transition

__all__ = ["added", "shown"]


def added(lines: bytes, transitions: Iterable[Transition]) -> bytes:
    """The lines with more transitions after them; the oldest go where there are too many."""
    return b"\n".join(_all(lines, transitions)[-HISTORY:])


def shown(lines: bytes, transitions: Iterable[Transition]) -> bytes:
    """One JSON list of the lines and of the transitions after them, oldest first."""
    return b"[" + b",".join(_all(lines, transitions)[-HISTORY:]) + b"]"


def _all(lines: bytes, transitions: Iterable[Transition]) -> list[bytes]:
    # A line break inside a JSON text is always escaped, so that a line is one transition.
    return [*lines.splitlines(), *(codec.dumps(one) for one in transitions)]
