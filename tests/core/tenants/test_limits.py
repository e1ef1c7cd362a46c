"""Contradictory limits are refused, with the keys and the values to set."""

import attrs
import pytest

from landlord_engines_core.compute import ComputeRegistry
from landlord_engines_core.compute.mock import MockCompute
from landlord_engines_core.errors import SettingsError
from landlord_engines_core.settings import WorkerSettings
from landlord_engines_core.tenants import JobLimits, check_limits

FIT = JobLimits(step_timeout=100.0, health_timeout=99.0, resync_after=30.0)


class CarryingMock(MockCompute):
    """A mock whose requests may continue for a while after a cancellation."""

    longest_carry = 40.0


def registry() -> ComputeRegistry:
    return ComputeRegistry({"mock": MockCompute(), "carrying": CarryingMock()})


def test_the_defaults_fit() -> None:
    check_limits(JobLimits(), registry(), history_retention=WorkerSettings().history_retention)


def test_limits_that_just_fit_are_accepted() -> None:
    check_limits(FIT, registry(), history_retention=180.0)
    check_limits(
        JobLimits(step_timeout=40.0, health_timeout=39.0), registry(), history_retention=150.0
    )


def test_the_health_timeout_must_be_shorter_than_a_step() -> None:
    with pytest.raises(SettingsError, match=r"worker\.health_timeout \(5s\) is not below") as error:
        check_limits(
            JobLimits(step_timeout=5.0, health_timeout=5.0),
            ComputeRegistry({}),
            history_retention=1e6,
        )

    assert error.value.hint == "set worker.health_timeout below 5s, or worker.step_timeout above 5s"


def test_the_longest_carry_of_an_engine_must_not_exceed_a_step() -> None:
    limits = JobLimits(step_timeout=39.5, health_timeout=5.0)

    with pytest.raises(SettingsError, match="compute engine carrying may carry") as error:
        check_limits(limits, registry(), history_retention=1e6)

    assert "or lower the timeouts of compute.carrying" in str(error.value.hint)


def test_the_time_an_engine_watches_an_update_must_be_shorter_than_a_step() -> None:
    """Otherwise each attempt would time out before the rollback, with the tenant out of service."""

    class Watching(MockCompute):
        longest_switch = 39.0

    limits = JobLimits(step_timeout=39.0, health_timeout=5.0)
    watching = ComputeRegistry({"watching": Watching()})

    with pytest.raises(SettingsError, match="compute engine watching may need 39s") as error:
        check_limits(limits, watching, history_retention=1e6)

    assert "set worker.step_timeout above 39s" in str(error.value.hint)
    check_limits(attrs.evolve(limits, step_timeout=39.1), watching, history_retention=1e6)


def test_a_record_is_kept_until_the_last_resync_of_its_tenant() -> None:
    with pytest.raises(SettingsError, match=r"worker\.history_retention \(179s\)") as error:
        check_limits(FIT, registry(), history_retention=179.0)

    assert str(error.value.hint).startswith("set worker.history_retention to 180s or more")


def test_without_resyncs_the_retention_of_records_may_be_short() -> None:
    limits = JobLimits(step_timeout=100.0, health_timeout=5.0, resync_after=0.0)

    check_limits(limits, registry(), history_retention=0.0)
