"""A tenant's past transitions as lines of JSON, which are added to and shown without being read.

They lie beside the lock's state, so that a job with fifty others behind it costs no more than the
first.
"""

from collections.abc import Iterable

from landlord_engines_core import codec
from landlord_engines_core.models import HISTORY, Transition
from landlord_engines_restate.open_jobs import OpenJob

__all__ = ["added", "shown"]


def added(lines: bytes, transitions: Iterable[Transition]) -> bytes:
    """The lines with more transitions after them; the oldest go where there are too many."""
    # A line break inside a JSON text is always escaped, so that a line is one transition.
    return b"\n".join([*lines.splitlines(), *map(codec.dumps, transitions)][-HISTORY:])


def shown(lines: bytes, transitions: Iterable[Transition], jobs: Iterable[OpenJob] = ()) -> bytes:
    """One JSON list of the lines and of the transitions after them, oldest first.

    A transition of a job that has not ended has the job with it, as ``job``.
    """
    doing = {one.execution_id: one for one in jobs}
    lately = [_with_job(one, doing.get(one.execution_id)) for one in transitions]
    return b"[" + b",".join([*lines.splitlines(), *lately][-HISTORY:]) + b"]"


def _with_job(transition: Transition, job: OpenJob | None) -> bytes:
    fields = codec.unstructure(transition)
    return codec.dumps(fields if job is None else {**fields, "job": codec.unstructure(job)})
