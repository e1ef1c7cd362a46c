"""A new distribution passes ruff, mypy and the kit before its author has written a line."""

import subprocess
import sys
import tomllib
from collections.abc import Callable
from pathlib import Path

import pytest
from click.testing import CliRunner

from landlord_engines_core.catalog import COMPUTE_ENGINES, WORKER_ENGINES
from landlord_engines_core.cli.commands import landlord_host
from landlord_engines_core.conformance.rulebook import RULES
from landlord_engines_core.conformance.rules import Kind, Tier
from landlord_engines_core.conformance.run import check_rule
from landlord_engines_core.conformance.subject import Subject
from landlord_engines_core.conformance.verdicts import Outcome
from landlord_engines_core.errors import SettingsError
from landlord_engines_core.scaffold import Scaffold, render

GROUPS = {"worker": WORKER_ENGINES, "compute": COMPUTE_ENGINES}
KINDS = {"worker": Kind.WORKER, "compute": Kind.COMPUTE}


@pytest.fixture(params=GROUPS)
def scaffold(request: pytest.FixtureRequest) -> Scaffold:
    return Scaffold(kind=request.param, name="my-own")


def run(folder: Path, *command: str) -> None:
    """Run a tool of this environment in a folder."""
    ran = subprocess.run(
        (sys.executable, "-m", *command),
        cwd=folder,
        capture_output=True,
        text=True,
        check=False,
        timeout=300,
    )
    assert ran.returncode == 0, ran.stdout + ran.stderr


def test_what_is_rendered_is_small(scaffold: Scaffold, tmp_path: Path) -> None:
    folder = render(scaffold, tmp_path)

    files = [path for path in folder.rglob("*") if path.is_file()]
    assert len(files) <= 12
    assert sum(len(path.read_text().splitlines()) for path in files) <= 250
    project = tomllib.loads((folder / "pyproject.toml").read_text())["project"]
    assert project["entry-points"] == {
        GROUPS[scaffold.kind]: {"my-own": f"{scaffold.module}:factory"}
    }


def test_the_rules_without_a_backend_are_kept(
    scaffold: Scaffold, tmp_path: Path, install_rendered: Callable[[Scaffold, Path], None]
) -> None:
    install_rendered(scaffold, render(scaffold, tmp_path))
    kind = KINDS[scaffold.kind]
    rules = [rule for rule in RULES[kind] if rule.tier is not Tier.LIVE]

    results = [
        check_rule(rule, Subject(kind=kind, name="my-own", folder=tmp_path)) for rule in rules
    ]

    kept = {Outcome.PASSED, Outcome.NOT_APPLICABLE}
    assert [result for result in results if result.outcome not in kept] == []
    assert len(results) > 5


@pytest.mark.long
def test_ruff_and_mypy_find_nothing(scaffold: Scaffold, tmp_path: Path) -> None:
    for tool in ("mypy", "ruff"):
        # Only the nox session `types` has both ruff and mypy.
        pytest.importorskip(tool)
    folder = render(scaffold, tmp_path)

    run(folder, "ruff", "check", "--no-cache")
    run(folder, "ruff", "format", "--check", "--no-cache")
    run(folder, "mypy", f"--cache-dir={tmp_path}/cache")


@pytest.mark.parametrize("name", ["", "Mine", "1st", "my_own", "../mine"])
def test_a_wrong_name_is_refused(name: str, tmp_path: Path) -> None:
    with pytest.raises(SettingsError, match="no name for an engine"):
        render(Scaffold(kind="worker", name=name), tmp_path)

    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("kind", GROUPS)
def test_the_command_shows_the_files_and_the_next_steps_and_keeps_an_existing_folder(
    kind: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capfd: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.chdir(tmp_path)
    arguments = ["new-engine", "mine", f"--kind={kind}"]

    first = CliRunner().invoke(landlord_host, arguments)
    second = CliRunner().invoke(landlord_host, arguments)

    lines = first.output.splitlines()
    assert first.exit_code == 0
    assert any(line.endswith("tests/test_conformance.py") for line in lines)
    assert lines[-1].startswith("  landlord-host conformance mine")
    assert second.exit_code == 2
    assert "cannot be created" in capfd.readouterr().err
