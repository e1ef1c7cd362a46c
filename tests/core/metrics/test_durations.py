from landlord_engines_core.metrics import Metrics
from landlord_test_target.scrape import read_samples


def test_each_operation_on_each_engine_has_its_durations_from_the_start() -> None:
    metrics = Metrics()

    metrics.jobs.durations.watch_engines(("docker", "ecs"))

    values = read_samples(metrics.families)
    for name in ("job_duration_seconds_count", "job_lock_wait_seconds_count"):
        series = [key for key in values if key.startswith(name)]
        assert len(series) == 6
        assert values[f'{name}{{compute_engine="ecs",operation="delete"}}'] == 0


def test_durations_have_no_engine_that_the_settings_do_not_have() -> None:
    metrics = Metrics()
    metrics.jobs.durations.watch_engines(("docker",))

    for engine in ("docker", "former", "older", ""):
        metrics.jobs.durations.observe_job("delete", engine, 2.0)
        metrics.jobs.durations.observe_lock_wait("delete", engine, 0.5)

    values = read_samples(metrics.families)
    for name, sums in (
        ("job_duration_seconds", (2, 4, 2)),
        ("job_lock_wait_seconds", (0.5, 1, 0.5)),
    ):
        for engine, expected in zip(("docker", "other", "none"), sums, strict=True):
            labels = f'{{compute_engine="{engine}",operation="delete"}}'
            assert values[f"{name}_sum{labels}"] == expected
