"""The engine of docs/first-engine.md conforms; tests/e2e/test_first_engine.py runs the page's commands."""

import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from landlord_engines_core.conformance.rulebook import find_rule
from landlord_engines_core.conformance.rules import Kind
from landlord_engines_core.conformance.run import check_rule
from landlord_engines_core.conformance.subject import Subject
from landlord_engines_core.conformance.verdicts import Outcome
from landlord_engines_core.scaffold import Scaffold
from landlord_test_target.tutorials import FIRST_ENGINE, render_result

MINE = Scaffold(kind="worker", name="mine")


def test_the_engine_of_the_page_keeps_rules_of_each_tier(
    tmp_path: Path, install_rendered: Callable[[Scaffold, Path], None]
) -> None:
    install_rendered(MINE, render_result(FIRST_ENGINE, MINE, tmp_path))

    results = [
        check_rule(
            find_rule(Kind.WORKER, rule),
            Subject(kind=Kind.WORKER, name="mine", folder=tmp_path / rule),
        )
        for rule in ("LOAD-1", "CAP-2", "JOB-4", "LOCK-3")
    ]

    assert [result for result in results if result.outcome is not Outcome.PASSED] == []


@pytest.mark.long
def test_ruff_and_mypy_find_nothing_in_the_engine_of_the_page(tmp_path: Path) -> None:
    for tool in ("mypy", "ruff"):
        # Of the sessions, only `types` has both.
        pytest.importorskip(tool)
    folder = render_result(FIRST_ENGINE, MINE, tmp_path)

    for command in ("ruff check", "ruff format --check", f"mypy --cache-dir={tmp_path}/cache"):
        ran = subprocess.run(
            (sys.executable, "-m", *command.split()),
            cwd=folder,
            capture_output=True,
            text=True,
            check=False,
            timeout=300,
        )
        assert ran.returncode == 0, ran.stdout + ran.stderr
