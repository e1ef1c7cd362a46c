"""The limits of jobs and resyncs, and whether they fit together.

A cancelled step still completes a request that was sent, or rolls its switch back: it carries them.
"""

import attrs

from landlord_engines_core.compute import ComputeRegistry
from landlord_engines_core.errors import SettingsError

__all__ = ["MARGIN", "JobLimits", "check_limits"]

MARGIN = 10.0
"""Seconds after the longest step until none of its requests can be in flight.

Clocks differ, and event loops are late.
"""


@attrs.frozen(kw_only=True)
class JobLimits:
    """Limits of jobs and resyncs; times are seconds.

    Attributes:
        step_timeout: How long a step may run before it is cancelled and tried again.
        health_timeout: How long a resource may take to become healthy.
        hold_retry_interval: The pause between two attempts of a held job.
        fail_permanently: Whether a job ends instead of being held; to Landlord each end is a success.
        max_concurrent_jobs: How many jobs change targets at once.
        resync_after: How long after a job its tenant is resynced.
    """

    step_timeout: float = 300.0
    health_timeout: float = 60.0
    hold_retry_interval: float = 30.0
    fail_permanently: bool = False
    max_concurrent_jobs: int = 100
    resync_after: float = 60.0


def check_limits(limits: JobLimits, registry: ComputeRegistry, *, history_retention: float) -> None:
    """Check the settings of a worker against each other and against its compute engines.

    Args:
        limits: The limits of jobs and resyncs.
        registry: The compute engines.
        history_retention: Seconds for which the record of a deleted tenant is kept.

    Raises:
        SettingsError: Naming the keys, and what to set.
    """
    _check_health_timeout(limits)
    for name in registry:
        _check_carry(limits, name, registry.engine(name).longest_carry)
        _check_switch(limits, name, registry.engine(name).longest_switch)
    if limits.resync_after:
        _check_history(limits, registry.longest_carry, history_retention)


def _check_health_timeout(limits: JobLimits) -> None:
    step, health = limits.step_timeout, limits.health_timeout
    if health >= step:
        raise SettingsError(
            f"worker.health_timeout ({health:g}s) is not below worker.step_timeout ({step:g}s):"
            " a step would be cancelled while it waits for health",
            hint=f"set worker.health_timeout below {step:g}s, or worker.step_timeout above {health:g}s",
        )


def _check_carry(limits: JobLimits, name: str, carry: float) -> None:
    step = limits.step_timeout
    if carry > step:
        raise SettingsError(
            f"compute engine {name} may carry a request or a switch for {carry:g}s, longer than"
            f" worker.step_timeout ({step:g}s): each attempt would be cut off",
            hint=f"set worker.step_timeout to {carry:g}s or more, or lower the timeouts of compute.{name}",
        )


def _check_switch(limits: JobLimits, name: str, switch: float) -> None:
    step = limits.step_timeout
    if step <= switch:
        raise SettingsError(
            f"compute engine {name} may need {switch:g}s to roll an update back, not less than"
            f" worker.step_timeout ({step:g}s): no update would ever be rolled back",
            hint=f"set worker.step_timeout above {switch:g}s, or lower the timeouts of compute.{name}",
        )


def _check_history(limits: JobLimits, carry: float, history_retention: float) -> None:
    needed = limits.resync_after + limits.step_timeout + carry + MARGIN
    if history_retention < needed:
        raise SettingsError(
            f"worker.history_retention ({history_retention:g}s) ends before the last check of a deleted tenant,"
            f" which comes {needed:g}s after its job began",
            hint=f"set worker.history_retention to {needed:g}s or more, or lower worker.resync_after,"
            " worker.step_timeout or the timeouts of the compute engines",
        )
