"""The engines of the pages for a first engine; tests/e2e/test_first_engine.py runs the pages' commands."""

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
from landlord_test_target.tutorials import PAGES, render_result

RULES = {
    Kind.WORKER: ("LOAD-1", "CAP-2", "JOB-4", "LOCK-3"),
    Kind.COMPUTE: ("MOD-1", "SET-1", "SCH-1"),
}
"""Rules of each tier that need no view of a target."""


@pytest.fixture(params=Kind)
def scaffold(request: pytest.FixtureRequest) -> Scaffold:
    return Scaffold(kind=str(request.param), name="mine")


def test_the_engine_of_the_page_keeps_rules(
    scaffold: Scaffold, tmp_path: Path, install_rendered: Callable[[Scaffold, Path], None]
) -> None:
    install_rendered(scaffold, render_result(PAGES[scaffold.kind], scaffold, tmp_path))
    kind = Kind(scaffold.kind)
    settings = {} if kind is Kind.WORKER else {"path": str(tmp_path / "tenants")}

    results = [
        check_rule(
            find_rule(kind, rule),
            Subject(kind=kind, name="mine", folder=tmp_path / rule, settings=settings),
        )
        for rule in RULES[kind]
    ]

    assert [result for result in results if result.outcome is not Outcome.PASSED] == []


@pytest.mark.long
def test_ruff_and_mypy_find_nothing_in_the_engine_of_the_page(
    scaffold: Scaffold, tmp_path: Path
) -> None:
    for tool in ("mypy", "ruff"):
        # Of the sessions, only `types` has both.
        pytest.importorskip(tool)
    folder = render_result(PAGES[scaffold.kind], scaffold, tmp_path)

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
