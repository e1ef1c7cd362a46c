from prometheus_client import REGISTRY, generate_latest

from landlord_engines_core.metrics import Metrics
from landlord_engines_core.models import Operation


def test_the_response_has_the_requested_format() -> None:
    plain, plain_type = Metrics().families.render("*/*")
    newer, newer_type = Metrics().families.render("application/openmetrics-text; version=1.0.0")

    assert plain_type == "text/plain; version=0.0.4; charset=utf-8"
    assert newer_type.startswith("application/openmetrics-text")
    assert b"# EOF" not in plain
    assert newer.endswith(b"# EOF\n")


def test_the_global_registry_has_no_metric_of_the_worker() -> None:
    Metrics().jobs.count_job(Operation.DELETE, "deleted")

    assert b"landlord_worker" not in generate_latest(REGISTRY)
