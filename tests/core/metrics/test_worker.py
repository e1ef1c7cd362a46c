from landlord_engines_core.metrics import Metrics
from landlord_test_target.scrape import read_samples


def test_the_build_has_names_and_versions_as_labels() -> None:
    metrics = Metrics()

    metrics.worker.set_build(version="1.2", engine="own")

    assert read_samples(metrics.families) == {
        **read_samples(Metrics().families),
        'build_info{engine="own",version="1.2"}': 1,
    }


def test_dropped_log_lines_are_counted_at_each_scrape() -> None:
    metrics, dropped = Metrics(), 0.0

    metrics.worker.watch_log(lambda: dropped)
    before = read_samples(metrics.families)["log_lines_dropped_total"]
    dropped = 3.0

    assert (before, read_samples(metrics.families)["log_lines_dropped_total"]) == (0, 3)


def test_only_the_current_state_is_1() -> None:
    metrics, current = Metrics(), "starting"
    registrations = (("registered", "unknown"), lambda: "unknown")

    metrics.worker.watch_engine(
        (("starting", "serving"), lambda: current), registrations, lambda: 7.0
    )
    current = "serving"

    values = read_samples(metrics.families)
    assert [values[f'state{{state="{state}"}}'] for state in ("starting", "serving")] == [0, 1]
    assert values['registration{state="unknown"}'] == 1
    assert values["drain_remaining_seconds"] == 7
