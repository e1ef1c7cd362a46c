"""The metadata and the contents of the distributions."""

import subprocess
import sys
import tarfile
import tomllib
import zipfile
from importlib import import_module
from importlib.metadata import entry_points
from pathlib import Path
from typing import Any

import pytest

ROOT = Path(__file__).parents[2]
NAMES = (
    "landlord_engines_core",
    "landlord_engines_restate",
    "landlord_engines_stepfunctions_stub",
)
ENTRY_POINTS = {
    ("landlord.compute_engines", "docker", "landlord_engines_core"),
    ("landlord.compute_engines", "ecs", "landlord_engines_core"),
    ("landlord.compute_engines", "mock", "landlord_engines_core"),
    ("landlord.compute_engines", "process", "landlord_engines_core"),
    ("landlord.worker_engines", "restate", "landlord_engines_restate"),
    ("landlord.worker_engines", "stepfunctions", "landlord_engines_stepfunctions_stub"),
}

PLUGIN = "landlord_engines_core.conformance.plugin"
"""The module of the pytest plugin, which is also the name of its entry point."""


def project(name: str) -> dict[str, Any]:
    text = (ROOT / name / "pyproject.toml").read_text(encoding="utf-8")
    about: dict[str, Any] = tomllib.loads(text)["project"]
    return about


def sources(name: str) -> set[str]:
    """List the files under src, as paths in a wheel."""
    top = ROOT / name / "src"
    files = (path for path in top.rglob("*") if path.is_file())
    return {str(path.relative_to(top)) for path in files if "__pycache__" not in path.parts}


def test_the_versions_are_in_lockstep_and_the_modules_agree() -> None:
    declared = {project(name)["version"] for name in NAMES}
    imported = {import_module(name).__version__ for name in NAMES}

    assert len(declared) == 1
    assert imported == declared


@pytest.mark.parametrize("name", NAMES[1:])
def test_an_engine_requires_a_core_of_its_own_minor_version(name: str) -> None:
    version = project(name)["version"]

    assert f"landlord-engines-core~={version}" in project(name)["dependencies"]


@pytest.mark.parametrize("name", NAMES)
def test_a_distribution_pins_nothing_and_classifies_only_pythons_that_it_allows(name: str) -> None:
    about = project(name)

    assert about["name"] == name.replace("_", "-")
    assert about["license"] == "Apache-2.0"
    assert about["requires-python"] == ">=3.11"
    assert not [pinned for pinned in about["dependencies"] if "==" in pinned]


@pytest.mark.parametrize("name", NAMES)
def test_the_metadata_say_whose_it_is_what_it_is_for_and_where_it_runs(name: str) -> None:
    about = project(name)
    pythons = {line.rpartition(" :: ")[2] for line in about["classifiers"] if " :: 3." in line}

    assert about["authors"]
    assert about["description"]
    assert about["readme"] == "README.md"
    assert {"landlord", "worker", "tenants"} <= set(about["keywords"])
    assert "Landlord" in about["urls"]
    # The versions that nox ran the tests on.
    assert pythons == {"3.11", "3.12", "3.13"}


@pytest.mark.parametrize("name", NAMES)
def test_each_distribution_contains_the_licence_and_its_changelog(name: str) -> None:
    whole = (ROOT / "LICENSE").read_bytes()
    changelog = (ROOT / name / "CHANGELOG.md").read_text(encoding="utf-8")

    assert b"TERMS AND CONDITIONS" in whole
    assert (ROOT / name / "LICENSE").read_bytes() == whole
    assert f"## {project(name)['version']}" in changelog


@pytest.mark.parametrize("name", NAMES)
def test_sdist_and_wheel_hold_the_sources_and_nothing_else(name: str, tmp_path: Path) -> None:
    version = project(name)["version"]
    build = [sys.executable, "-m", "build", "--no-isolation", "--outdir", str(tmp_path)]
    subprocess.run([*build, str(ROOT / name)], check=True, capture_output=True, timeout=120)

    with tarfile.open(tmp_path / f"{name}-{version}.tar.gz") as sdist:
        unpacked = {member.name for member in sdist.getmembers() if member.isfile()}
    with zipfile.ZipFile(tmp_path / f"{name}-{version}-py3-none-any.whl") as wheel:
        installed = set(wheel.namelist())

    # hatchling adds the .gitignore that it applied.
    other_files = {
        ".gitignore",
        "CHANGELOG.md",
        "LICENSE",
        "PKG-INFO",
        "README.md",
        "pyproject.toml",
    }
    top = f"{name}-{version}"
    assert f"{name}/py.typed" in installed
    assert unpacked - {f"{top}/.gitignore"} == (
        {f"{top}/src/{path}" for path in sources(name)} | {f"{top}/{path}" for path in other_files}
    ) - {f"{top}/.gitignore"}
    about = ("METADATA", "RECORD", "WHEEL", "entry_points.txt", "licenses/LICENSE")
    assert installed == sources(name) | {f"{top}.dist-info/{path}" for path in about}


@pytest.mark.parametrize(("group", "name", "package"), sorted(ENTRY_POINTS))
def test_each_entry_point_is_installed_and_loads_a_factory(
    group: str, name: str, package: str
) -> None:
    (entry_point,) = entry_points(group=group, name=name)

    assert entry_point.module.partition(".")[0] == package
    assert callable(entry_point.load()) or hasattr(entry_point.load(), "create_engine")


def test_no_other_entry_point_is_declared() -> None:
    declared = {
        (group, key, name)
        for name in NAMES
        for group, targets in project(name)["entry-points"].items()
        for key in targets
    }

    assert declared == {*ENTRY_POINTS, ("pytest11", PLUGIN, NAMES[0])}
    assert project(NAMES[0])["entry-points"]["pytest11"] == {PLUGIN: PLUGIN}
    assert project(NAMES[0])["scripts"] == {"landlord-host": "landlord_engines_core.cli:main"}
