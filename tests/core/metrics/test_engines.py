import asyncio

import pytest

from landlord_engines_core.metrics import Metrics
from landlord_engines_core.metrics.engines import MAX_REQUESTS
from landlord_test_target.scrape import read_samples


def test_requests_of_compute_engines_are_timed_and_their_failures_counted() -> None:
    metrics = Metrics()
    time_request = metrics.engines.request_timer("docker")

    with time_request("list containers"):
        pass
    with pytest.raises(KeyError), time_request("list containers"):
        raise KeyError
    with pytest.raises(asyncio.CancelledError), time_request("list containers"):
        raise asyncio.CancelledError

    values = read_samples(metrics.families)
    labels = '{compute_engine="docker",request="list containers"}'
    assert values[f"target_request_duration_seconds_count{labels}"] == 3
    assert values[f"target_request_failures_total{labels}"] == 1


def test_the_number_of_request_names_is_limited() -> None:
    metrics = Metrics()
    many, invalid = (metrics.engines.request_timer(engine) for engine in ("many", "invalid"))

    for number in range(2 * MAX_REQUESTS):
        with many(f"read {number}"):
            pass
    # A name in another form, for example with the name of a tenant, counts as "other".
    with invalid("Tenant/1"):
        pass

    values = read_samples(metrics.families)
    counts = [key for key in values if key.startswith("target_request_failures_total")]
    assert len([key for key in counts if '"many"' in key]) == MAX_REQUESTS + 1
    labels = '{compute_engine="invalid",request="other"}'
    assert [key for key in counts if '"invalid",' in key] == [
        f"target_request_failures_total{labels}"
    ]
    assert values[f"target_request_duration_seconds_count{labels}"] == 1


def test_each_call_of_an_engine_is_timed_by_engine_and_method() -> None:
    metrics = Metrics()

    metrics.engines.time_call("worker engine", "restate", "register", 0.25)
    metrics.engines.time_call("worker engine", "restate", "register", 0.5)

    labels = '{engine="restate",kind="worker engine",method="register"}'
    assert read_samples(metrics.families)[f"engine_call_duration_seconds_count{labels}"] == 2
    assert read_samples(metrics.families)[f"engine_call_duration_seconds_sum{labels}"] == 0.75
