"""Discovery reads real metadata: each test writes distributions into a folder on the path."""

import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from textwrap import dedent

import pytest

from landlord_engines_core.catalog import COMPUTE_ENGINES, WORKER_ENGINES, list_engines
from landlord_engines_core.errors import (
    PluginAmbiguous,
    PluginError,
    PluginImportFailed,
    PluginIncompatible,
    PluginInvalid,
    PluginNotInstalled,
    PluginWrongType,
)
from landlord_engines_core.plugins import (
    find_compute_settings,
    load_compute_engine,
    load_worker_engine,
)

Install = Callable[..., None]

FACTORY = """
import attrs
from landlord_engines_stepfunctions_stub import factory

factory = attrs.evolve(factory, info=attrs.evolve(factory.info, name="twin"))
"""


@pytest.fixture
def install(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Install]:
    """Write a distribution with one entry point and one module."""
    monkeypatch.syspath_prepend(tmp_path)
    before = set(sys.modules)

    def write(distribution: str, name: str, code: str = "", group: str = WORKER_ENGINES) -> None:
        module = f"fake_{tmp_path.name}_{distribution}".replace("-", "_")
        (tmp_path / f"{module}.py").write_text(dedent(code))
        info = tmp_path / f"{distribution.replace('-', '_')}-1.0.dist-info"
        info.mkdir()
        (info / "METADATA").write_text(
            f"Metadata-Version: 2.1\nName: {distribution}\nVersion: 1.0\n"
        )
        (info / "entry_points.txt").write_text(f"[{group}]\n{name} = {module}:factory\n")

    yield write
    for added in set(sys.modules) - before:
        del sys.modules[added]


def load_error(name: str) -> PluginError:
    with pytest.raises(PluginError) as caught:
        load_worker_engine(name)
    return caught.value


def test_the_list_imports_nothing_and_names_each_distribution(install: Install) -> None:
    install("broken", "sick", "raise SystemExit")

    versions = {str(engine): engine.version for engine in list_engines(WORKER_ENGINES)}

    assert any(text.startswith("sick (broken 1.0, ") for text in versions)
    assert any(engine.name == "mock" for engine in list_engines(COMPUTE_ENGINES))


def test_an_engine_is_loaded_with_its_distribution() -> None:
    candidate, factory = load_worker_engine("stepfunctions")

    assert candidate.distribution == "landlord-engines-stepfunctions-stub"
    assert factory.settings_type.__name__ == "StepFunctionsSettings"


def test_a_name_that_is_not_installed_gets_a_suggestion() -> None:
    error = load_error("restat")

    assert isinstance(error, PluginNotInstalled)
    assert error.hint == "did you mean restate?"
    assert sys.executable in error.message


def test_a_name_without_a_similar_one_gets_the_list() -> None:
    message = load_error("zzz").message

    assert "restate" in message
    assert "stepfunctions" in message


def test_a_known_engine_that_is_missing_gets_its_pip_command(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(sys, "path", [])

    assert load_error("restate").hint == "pip install landlord-engines-restate"


def test_two_distributions_of_one_name_are_both_named(install: Install) -> None:
    install("acme-one", "twin")
    install("acme-two", "twin")

    error = load_error("twin")

    assert isinstance(error, PluginAmbiguous)
    assert "acme-one 1.0" in error.message
    assert "acme-two 1.0" in error.message
    assert error.hint == (
        "use --engine acme-one:twin or --engine acme-two:twin, or uninstall all but one of them"
    )


def test_a_distribution_chooses_among_duplicates(install: Install) -> None:
    install("acme-one", "twin", FACTORY)
    install("acme-two", "twin", FACTORY)

    candidate, _ = load_worker_engine("ACME_two:twin")

    assert (candidate.name, candidate.distribution) == ("twin", "acme-two")
    assert load_error("acme-tow:twin").hint == "did you mean acme-two:twin?"


def test_one_distribution_that_names_an_engine_twice_goes_back_to_its_authors(
    install: Install, tmp_path: Path
) -> None:
    install("acme", "twin")
    points = tmp_path / "acme-1.0.dist-info" / "entry_points.txt"
    points.write_text(points.read_text() + "twin = elsewhere:factory\n")

    assert load_error("acme:twin").hint == "report it to the authors of acme"


def test_an_engine_in_a_misspelt_group_is_found_and_reported(install: Install) -> None:
    install("acme", "mine", group="landlord.worker_engine")

    error = load_error("mine")

    assert isinstance(error, PluginNotInstalled)
    assert "acme 1.0" in error.message
    assert "no host reads the group landlord.worker_engine; hosts read landlord.w" in error.message
    assert error.hint == "report it to the authors of acme"


def test_a_target_that_is_no_object_in_a_module_cannot_be_imported(
    install: Install, tmp_path: Path
) -> None:
    install("acme", "mine")
    points = tmp_path / "acme-1.0.dist-info" / "entry_points.txt"
    points.write_text(f"[{WORKER_ENGINES}]\nmine = not a target\n")

    error = load_error("mine")

    assert isinstance(error, PluginImportFailed)
    assert "its target is not module:object" in error.message


def test_an_engine_of_another_major_version_is_incompatible(install: Install) -> None:
    install("future", "tomorrow", group=f"{WORKER_ENGINES}.v2")

    error = load_error("tomorrow")

    assert isinstance(error, PluginIncompatible)
    assert "this host implements version 1" in error.message


@pytest.mark.parametrize(
    "code", ["import nowhere_at_all", "raise SystemExit(0)", "assert False, 'no'", "1 / 0"]
)
def test_an_engine_that_cannot_be_imported_keeps_its_cause(install: Install, code: str) -> None:
    install("sick", "ill", code)

    error = load_error("ill")

    assert isinstance(error, PluginImportFailed)
    assert "sick 1.0" in error.message
    assert error.__cause__ is not None


def test_an_entry_point_to_something_else_is_the_wrong_type(install: Install) -> None:
    install("odd", "strange", "factory = 5")
    install("odder", "stranger", "factory = 5", COMPUTE_ENGINES)

    assert isinstance(load_error("strange"), PluginWrongType)
    with pytest.raises(PluginWrongType, match="not to a ComputeEngineFactory"):
        load_compute_engine("stranger")
    assert find_compute_settings("stranger") is None


COMPUTE = """
from landlord_engines_core.api import ComputeEngineFactory, ComputeEngineInfo
factory = ComputeEngineFactory(
    info=ComputeEngineInfo(name="{name}", contract={contract}),
    settings_type=dict,
    create_engine=lambda context: None,
)
"""


@pytest.mark.parametrize(
    ("name", "contract", "error", "named"),
    [
        ("other", 99, PluginIncompatible, "it is for version 99 of the contract, and this host"),
        (
            "other",
            1,
            PluginInvalid,
            "name 'other', and its entry point 'own'; its settings_type is",
        ),
    ],
)
def test_a_compute_engine_with_a_wrong_declaration_is_refused(
    install: Install, name: str, contract: int, error: type[PluginError], named: str
) -> None:
    install("ours", "own", COMPUTE.format(name=name, contract=contract), COMPUTE_ENGINES)

    with pytest.raises(error, match=named):
        load_compute_engine("own")


def test_a_compute_engine_is_loaded() -> None:
    _, factory = load_compute_engine("mock")

    assert factory.info.name == "mock"
    assert find_compute_settings("mock") is factory.settings_type
