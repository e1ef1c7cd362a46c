"""Reads the samples of `/metrics`."""

from collections.abc import Mapping

from landlord_engines_core.metrics.families import Families

PREFIX = "landlord_worker_"


def samples(text: str) -> Mapping[str, float]:
    """Parse our samples, without their prefix: ``jobs_total{operation="plan",outcome="update"}``."""
    pairs = (line.rsplit(" ", 1) for line in text.splitlines() if line.startswith(PREFIX))
    return {name.removeprefix(PREFIX): float(value) for name, value in pairs}


def current_states(text: str, gauge: str) -> list[str]:
    """List the states whose gauge is 1; normally exactly one."""
    gauges = samples(text).items()
    return [name.split('"')[1] for name, value in gauges if name.startswith(f"{gauge}{{") and value]


def read_samples(families: Families) -> Mapping[str, float]:
    """Read our samples without a worker's port."""
    return samples(families.render()[0].decode())
