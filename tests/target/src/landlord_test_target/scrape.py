"""Reading what `/metrics` shows."""

from collections.abc import Mapping

PREFIX = "landlord_worker_"


def samples(text: str) -> Mapping[str, float]:
    """Our samples without their prefix: ``jobs_total{operation="plan",outcome="update"}``."""
    pairs = (line.rsplit(" ", 1) for line in text.splitlines() if line.startswith(PREFIX))
    return {name.removeprefix(PREFIX): float(value) for name, value in pairs}


def states(text: str, of: str) -> list[str]:
    """The states whose gauge is 1; there is exactly one."""
    found = samples(text).items()
    return [name.split('"')[1] for name, value in found if name.startswith(f"{of}{{") and value]
