from collections.abc import Callable, Sequence

import pytest

from benchmarks.soak.samples import LIMITS, Sample, find_rises, slope

EVERY = 5_000


def samples(value: Callable[[int], int], *, jobs: int = 100_000) -> Sequence[Sample]:
    """Build the samples of a run in which each value depends on the number of jobs."""
    return [
        Sample(
            jobs=done,
            seconds=done / 50,
            rss=value(done),
            uss=value(done),
            files=value(done),
            tasks=value(done),
            engine_cache=value(done),
            defaults_cache=value(done),
            state_rows=value(done),
            state_bytes=value(done),
            server_rss=value(done),
            server_disk=value(done),
        )
        for done in range(EVERY, jobs + 1, EVERY)
    ]


def test_a_constant_value_has_no_slope() -> None:
    run = samples(lambda _: 120_000_000)

    assert slope(run, "rss") == 0
    assert find_rises(run) == {}


def test_a_slope_is_per_thousand_jobs() -> None:
    run = samples(lambda jobs: 7 * jobs)

    assert slope(run, "rss") == pytest.approx(7_000)


def test_growth_in_the_first_half_does_not_count() -> None:
    run = samples(lambda jobs: min(jobs, 50_000))

    assert slope(run, "engine_cache") == 0
    assert find_rises(run) == {}


def test_a_value_that_oscillates_has_no_slope() -> None:
    run = samples(lambda jobs: 120_000_000 + 1_000_000 * (jobs // EVERY % 2))

    assert find_rises(run) == {}


@pytest.mark.parametrize("kept", [80, 150, 1000])
def test_a_leak_of_the_smallest_kind_per_job_is_detected(kept: int) -> None:
    run = samples(lambda jobs: 120_000_000 + kept * jobs + 1_000_000 * (jobs // EVERY % 2))

    assert {"rss", "uss", "state_bytes"} <= find_rises(run).keys()


def test_each_value_with_a_limit_is_judged_and_a_falling_one_passes() -> None:
    assert find_rises(samples(lambda jobs: 100 * jobs)).keys() == LIMITS.keys()
    assert find_rises(samples(lambda jobs: -100 * jobs)) == {}


def test_a_run_that_is_too_short_is_not_judged() -> None:
    assert find_rises(samples(lambda jobs: 1000 * jobs, jobs=45_000)) == {}
