"""Prometheus' own tool checks the alerting rules and runs their unit tests."""

import shutil
import subprocess
from pathlib import Path

import pytest
import yaml

from landlord_test_target.alerts import RULES, Alert, read_alerts

ROOT = Path(__file__).parents[2]
CACHE = Path.home() / ".cache" / "landlord-engines" / "prometheus"
UNIT_TESTS = ROOT / "tests" / "data" / "alerts" / "tests.yaml"


@pytest.fixture(scope="module")
def promtool() -> str:
    """Return promtool, which comes from Debian once for all runs on a machine without it."""
    if installed := shutil.which("promtool"):
        return installed
    if shutil.which("apt-get") is None:
        pytest.skip("promtool is not there, and no Debian to get it from")
    script = str(Path(__file__).with_name("prometheus.sh"))
    subprocess.run(["sh", script, str(CACHE)], check=True, timeout=300)
    return str(CACHE / "usr" / "bin" / "promtool")


@pytest.mark.parametrize(
    "arguments", [("check", "rules", RULES), ("test", "rules", UNIT_TESTS)], ids=["check", "test"]
)
def test_promtool_accepts_the_alerting_rules(
    promtool: str, arguments: tuple[str | Path, ...]
) -> None:
    ran = subprocess.run(
        [promtool, *arguments], capture_output=True, text=True, check=False, timeout=60
    )

    assert ran.returncode == 0, ran.stdout + ran.stderr
    assert "SUCCESS" in ran.stdout


def test_each_alert_has_a_case_in_which_it_fires_and_one_in_which_it_does_not() -> None:
    cases = yaml.safe_load(UNIT_TESTS.read_text(encoding="utf-8"))["tests"]
    expectations = [alert for case in cases for alert in case.get("alert_rule_test", ())]
    silent = {alert["alertname"] for alert in expectations if "exp_alerts" not in alert}
    firing = {alert["alertname"] for alert in expectations if "exp_alerts" in alert}
    queries = [query for case in cases for query in case.get("promql_expr_test", ())]
    firing |= {
        sample["labels"].split('"')[1] for query in queries for sample in query["exp_samples"]
    }

    names = {alert.name for alert in read_alerts()}

    assert (firing, silent) == (names, names)


@pytest.mark.parametrize("alert", read_alerts(), ids=lambda alert: alert.name)
def test_an_alert_says_what_is_wrong_and_what_to_do(alert: Alert) -> None:
    operating = ROOT / "docs" / "operating"
    anchor = alert.name.lower()

    assert alert.annotations.keys() == {"summary", "description", "runbook"}
    assert alert.annotations["runbook"] == f"docs/operating/troubleshoot.md#{anchor}"
    assert f"### {alert.name}\n" in (operating / "troubleshoot.md").read_text(encoding="utf-8")
    row = f"| [`{alert.name}`](troubleshoot.md#{anchor}) |"
    assert row in (operating / "monitor.md").read_text(encoding="utf-8")
