"""A tenant's past transitions as lines of JSON, which are appended and rendered without being parsed.

They have a state entry of their own. So a job of a tenant with fifty past jobs costs no more than the
tenant's first job.
"""

from collections.abc import Iterable

from landlord_engines_core import codec
from landlord_engines_core.models import HISTORY_LIMIT, Transition
from landlord_engines_restate.lock.open_jobs import OpenJob

__all__ = ["append_lines", "render_history"]


def append_lines(lines: bytes, transitions: Iterable[Transition]) -> bytes:
    """Append transitions to the lines, and drop the oldest lines beyond the limit."""
    # JSON escapes a line break inside a text. So each line holds one transition.
    return b"\n".join([*lines.splitlines(), *map(codec.dumps, transitions)][-HISTORY_LIMIT:])


def render_history(
    lines: bytes, transitions: Iterable[Transition], jobs: Iterable[OpenJob] = ()
) -> bytes:
    """Render lines and later transitions as one JSON list, oldest first.

    The transition of an open job has the job's state as ``job``.
    """
    open_jobs = {job.execution_id: job for job in jobs}
    latest = [_render(each, open_jobs.get(each.execution_id)) for each in transitions]
    return b"[" + b",".join([*lines.splitlines(), *latest][-HISTORY_LIMIT:]) + b"]"


def _render(transition: Transition, job: OpenJob | None) -> bytes:
    fields = codec.unstructure(transition)
    return codec.dumps(fields if job is None else {**fields, "job": codec.unstructure(job)})
