"""A tenant's history as JSON lines; stored lines are never parsed again.

The virtual object stores the history under its own key. A job therefore does not load and decode the
history with the tenant's record.
"""

from collections.abc import Iterable

from landlord_engines_core import codec
from landlord_engines_core.engine import OpenJob
from landlord_engines_core.models import HISTORY_LIMIT, Transition

__all__ = ["append_lines", "render_history"]


def append_lines(lines: bytes, transitions: Iterable[Transition]) -> bytes:
    """Append transitions to the lines, and drop the oldest lines beyond `HISTORY_LIMIT`."""
    # JSON escapes line breaks in strings, so each line is one transition.
    return b"\n".join([*lines.splitlines(), *map(codec.dumps, transitions)][-HISTORY_LIMIT:])


def render_history(
    lines: bytes, transitions: Iterable[Transition], jobs: Iterable[OpenJob] = ()
) -> bytes:
    """Render lines and later transitions as one JSON list, oldest first.

    The entry of a job that has not ended also has a ``job`` field with its live state.
    """
    open_jobs = {job.execution_id: job for job in jobs}
    entries = [_render(each, open_jobs.get(each.execution_id)) for each in transitions]
    return b"[" + b",".join([*lines.splitlines(), *entries][-HISTORY_LIMIT:]) + b"]"


def _render(transition: Transition, job: OpenJob | None) -> bytes:
    fields = codec.unstructure(transition)
    return codec.dumps(fields if job is None else {**fields, "job": codec.unstructure(job)})
