"""The plugin and the command: with a file of the author and without, in parts, and where nobody asked."""

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import ClassVar

import pytest
from click.testing import CliRunner

from landlord_engines_core.cli.commands import landlord_host
from landlord_engines_core.conformance import Waiver, WorkerEngineSuite
from landlord_engines_core.conformance.command import judge_report, run_kit
from landlord_engines_core.conformance.rules import Kind
from landlord_engines_core.errors import NotConformant, SettingsError

PLUGIN = "landlord_engines_core.conformance.plugin"

MODULE = """\
from landlord_engines_core.conformance import Waiver, WorkerEngineSuite

class TestOwn(WorkerEngineSuite):
    engine = {engine!r}
    waivers = {waivers}
"""

# Plugins of this environment warn about settings that an author's project may lack.
QUIET = ("--disable-plugin-autoload",)


def run_pytest(folder: Path, text: str, *arguments: str) -> "subprocess.CompletedProcess[str]":
    (folder / "test_own.py").write_text(text)
    (folder / "pytest.ini").write_text("[pytest]\nfilterwarnings = error\nstrict = true\n")
    path = [*sys.path, str(folder)]
    return subprocess.run(
        [
            sys.executable,
            "-m",
            "pytest",
            *QUIET,
            "-p",
            PLUGIN,
            "-p",
            "no:cacheprovider",
            *arguments,
        ],
        cwd=folder,
        env={**os.environ, "PYTHONPATH": ":".join(path)},
        capture_output=True,
        text=True,
        check=False,
    )


def verdict(folder: Path, engine: str) -> object:
    return json.loads((folder / "reports" / f"worker-{engine}.json").read_text())["verdict"]


def test_with_xdist_and_a_choice_of_rules_an_engine_is_incomplete(tmp_path: Path) -> None:
    text = MODULE.format(engine="right", waivers="()")

    ran = run_pytest(
        tmp_path, text, "-pxdist", "-n2", "-k", "LOAD-1 or CAP-1", "--conformance-reports=reports"
    )

    assert ran.returncode == 0, ran.stdout
    assert "worker engine right: incomplete (2 passed, " in ran.stdout
    assert verdict(tmp_path, "right") == "incomplete"


def test_an_unrelated_project_imports_nothing_of_the_kit_but_the_plugin(tmp_path: Path) -> None:
    text = """\
import sys

def test_own():
    heavy = ("attrs", "cattrs", "aiohttp", "stevedore", "landlord_engines_core.engine")
    assert not [name for name in sys.modules if name.startswith(heavy)]
    assert [name for name in sys.modules if name.startswith("landlord")] == [
        "landlord_engines_core",
        "landlord_engines_core.conformance",
        "landlord_engines_core.conformance.marks",
        "landlord_engines_core.conformance.plugin",
    ]
"""
    ran = run_pytest(tmp_path, text)

    assert ran.returncode == 0, ran.stdout
    assert "conformance" not in ran.stdout.replace(PLUGIN, "")


def test_a_waiver_is_a_test_that_fails_where_it_is_not_needed(tmp_path: Path) -> None:
    waivers = "(Waiver('VER-2', 'a test'), Waiver('LOAD-3', 'slow'))"

    ran = run_pytest(
        tmp_path,
        MODULE.format(engine="ver-2", waivers=waivers),
        "--conformance-reports=reports",
        *("-k", "VER or LOAD or waivers"),
    )

    assert ran.returncode == 1
    assert "VER-2 SHOULD waived: a test" in ran.stdout
    assert "the waiver is not needed any more" in ran.stdout
    assert "1 xfailed" in ran.stdout


def test_a_waiver_of_no_rule_or_twice_is_an_error() -> None:
    class Own(WorkerEngineSuite):
        engine = "right"
        waivers: ClassVar[tuple[Waiver, ...]] = (Waiver("LOAD-33", "a reason"),)

    class Twice(WorkerEngineSuite):
        engine = "right"
        waivers: ClassVar[tuple[Waiver, ...]] = (
            Waiver("LOAD-3", "a reason"),
            Waiver("LOAD-3", "another"),
        )

    with pytest.raises(AssertionError, match="no such rule: LOAD-33"):
        Own().test_waivers_name_rules()
    with pytest.raises(AssertionError, match="one waiver for each rule"):
        Twice().test_waivers_name_rules()


def test_a_suite_that_says_why_it_is_incomplete_skips_what_cannot_run(tmp_path: Path) -> None:
    class Own(WorkerEngineSuite):
        engine = "stepfunctions"

    class Explained(Own):
        incomplete = "no backend yet"

    results: list[str] = []

    def record(_: str, result: str) -> None:
        results.append(result)

    with pytest.raises(pytest.fail.Exception, match="the engine has no local backend"):
        Own().check("JOB-3", tmp_path / "own", record)
    with pytest.raises(pytest.skip.Exception, match="JOB-3 could not run: no backend yet"):
        Explained().check("JOB-3", tmp_path / "explained", record)
    with pytest.raises(pytest.fail.Exception, match="failed"):
        Explained().check("CAP-1", tmp_path / "broken", record)
    assert [json.loads(result)[1]["outcome"] for result in results] == [
        "could-not-run",
        "could-not-run",
        "failed",
    ]


def test_a_base_class_of_ones_own_is_no_test_until_it_names_an_engine() -> None:
    class Base(WorkerEngineSuite):
        pass

    class TestOwn(Base):
        engine = "right"

    assert (Base.__test__, TestOwn.__test__) == (False, True)


def test_the_command_needs_no_file_and_judges(tmp_path: Path) -> None:
    options = ["conformance", "cap-1", f"--reports={tmp_path / 'reports'}", "--", "-k", "CAP-1"]

    result = CliRunner().invoke(landlord_host, options)

    assert result.exit_code == 3
    assert "worker engine cap-1: non-conformant" in result.output
    assert verdict(tmp_path, "cap-1") == "non-conformant"


def test_the_command_hands_on_the_engines_settings(tmp_path: Path) -> None:
    settings = {"path": str(tmp_path / "jobs.db")}

    with pytest.raises(NotConformant, match="is incomplete"):
        run_kit(Kind.WORKER, "right", settings, reports=None, arguments=("-k", "LIFE-1"))


def test_the_command_tests_compute_engines_too(tmp_path: Path) -> None:
    settings = {"path": str(tmp_path)}
    options = ("-k", "SET-2 or ACT-1")

    with pytest.raises(NotConformant, match="compute engine right-folder is incomplete"):
        run_kit(Kind.COMPUTE, "right-folder", settings, reports=tmp_path, arguments=options)

    report = json.loads((tmp_path / "compute-right-folder.json").read_text())
    assert (report["counts"]["passed"], report["counts"]["failed"]) == (1, 0)


def test_a_rule_that_was_not_run_at_all_is_incomplete() -> None:
    with pytest.raises(NotConformant, match="is incomplete"):
        run_kit(Kind.WORKER, "right", {}, reports=None, arguments=("-k", "nothing"))


def test_a_conformant_engine_is_no_error() -> None:
    judge_report(Kind.WORKER, "right", '{"verdict": "conformant with waivers"}')


def test_without_the_option_there_is_no_report(tmp_path: Path) -> None:
    text = MODULE.format(engine="stepfunctions", waivers="()")

    ran = run_pytest(tmp_path, text, "-k", "VER-1 or CFG-3 or CAP-1")

    assert ran.returncode == 1
    assert "1 failed, 1 passed, 1 skipped" in ran.stdout
    assert "CFG-3 MUST not-applicable: the settings class has no field of type Secret" in ran.stdout
    assert not (tmp_path / "reports").exists()


def test_without_pytest_the_command_says_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("landlord_engines_core.conformance.command.find_spec", lambda _: None)

    with pytest.raises(SettingsError, match="needs pytest"):
        run_kit(Kind.WORKER, "right", {}, reports=None, arguments=())


def test_the_package_has_no_other_names() -> None:
    from landlord_engines_core import conformance

    with pytest.raises(AttributeError):
        _ = conformance.Nothing
