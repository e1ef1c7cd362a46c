"""The ledger: what happened in all processes of a test, as one file of lines."""

import json
import os
from collections.abc import Iterable, Iterator
from pathlib import Path
from time import monotonic
from typing import Any

import attrs

__all__ = ["Entry", "Ledger", "render_story"]

MAX_EVENTS = 60
"""The maximum number of events in a story, counted from the last."""


@attrs.frozen(kw_only=True)
class Entry:
    """One event.

    Attributes:
        at: The system's monotonic time, the same in all processes.
        worker: The number of the worker; -1 for the test.
        event: What happened.
        job: The job's label; empty for an event of a worker.
        facts: What else is known.
    """

    at: float
    pid: int
    worker: int
    event: str
    job: str = ""
    facts: dict[str, Any] = attrs.field(factory=dict)


@attrs.frozen
class Ledger:
    """A file to which all processes of a test append."""

    path: Path

    def write(self, event: str, *, worker: int = -1, job: str = "", **facts: object) -> Entry:
        """Append an event."""
        entry = Entry(
            at=monotonic(), pid=os.getpid(), worker=worker, event=event, job=job, facts=facts
        )
        line = json.dumps(attrs.asdict(entry)).encode() + b"\n"
        descriptor = os.open(self.path, os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o600)
        try:
            # One write: the lines of several processes do not mix.
            os.write(descriptor, line)
        finally:
            os.close(descriptor)
        return entry

    def read(self, *events: str, job: str = "", worker: int | None = None) -> list[Entry]:
        """Read the events of these names; all names if none is given."""
        return [
            entry
            for entry in self._entries()
            if (not events or entry.event in events)
            and (not job or entry.job == job)
            and (worker is None or entry.worker == worker)
        ]

    def _entries(self) -> Iterator[Entry]:
        if self.path.exists():
            lines = self.path.read_bytes().split(b"\n")[:-1]
            yield from (Entry(**json.loads(line)) for line in lines)


def render_story(entries: Iterable[Entry]) -> list[str]:
    """Render events as lines, each with the seconds since the first event."""
    events = sorted(entries, key=lambda entry: entry.at)
    first = events[0].at if events else 0.0
    return [_render_entry(entry, entry.at - first) for entry in events[-MAX_EVENTS:]]


def _render_entry(entry: Entry, after: float) -> str:
    who = f"worker {entry.worker}" if entry.worker >= 0 else "test"
    facts = " ".join(f"{key}={value}" for key, value in entry.facts.items())
    job = f" of job {entry.job}" if entry.job else ""
    return f"{after:7.3f} s  {who} ({entry.pid}): {entry.event}{job} {facts}".rstrip()
