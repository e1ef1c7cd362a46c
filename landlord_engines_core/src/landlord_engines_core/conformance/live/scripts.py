"""Scripted jobs: a job's body says what its attempts do, in place of a tenant's real work."""

import json
from typing import Any

import attrs

__all__ = ["POINTS", "Script"]

POINTS = ("begin", "resolved", "acquired", "applying", "applied", "completed")
"""The points between the calls of `Steps` at which a script can stop its worker."""


@attrs.frozen(kw_only=True)
class Script:
    """Behaviour of the attempts of one job.

    Attributes:
        job: The job's label in the ledger.
        apply: How many seconds each attempt's change of the target takes, in turn; the last one stays.
        resolve: Seconds before the job asks for the lock.
        carry: Seconds for which a request goes on after a cancellation.
        fail: How the first attempts fail: ``invalid``, ``held``, ``transient``, or with a pause
            ``transient 0.5``.
        die: A point at which the worker kills itself, the first time that it gets there.
        freeze: A point at which the worker stops itself, the first time that it gets there.
        resync: How many seconds the job's resync takes.
        follow_up: The pause after which the job's first resync wants another one; 0 for none.
    """

    job: str
    tenant: str
    operation: str = "update"
    apply: tuple[float, ...] = (0.0,)
    resolve: float = 0.0
    carry: float = 0.0
    fail: tuple[str, ...] = ()
    die: str = ""
    freeze: str = ""
    resync: float = 0.0
    follow_up: float = 0.0

    def body(self) -> bytes:
        """Write the body, in a form that a decoder and an encoder would change."""
        fields = {name: value for name, value in attrs.asdict(self).items() if value}
        text = json.dumps(fields, ensure_ascii=True, indent=1, sort_keys=True)
        return f' {text[:-1]},\n  "twice": 1, "twice": 2.50, "slash": "\\/"\t}}\r\n'.encode()

    @classmethod
    def read(cls, body: bytes) -> "Script":
        """Read a body."""
        document: dict[str, Any] = json.loads(body)
        known = {field.name for field in attrs.fields(cls)}
        fields = {name: value for name, value in document.items() if name in known}
        for name in ("apply", "fail"):
            if name in fields:
                fields[name] = tuple(fields[name])
        return cls(**fields)
