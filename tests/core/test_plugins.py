"""Discovery reads real metadata: each test writes distributions into a folder on the path."""

import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from textwrap import dedent

import pytest

from landlord_engines_core.errors import (
    PluginAmbiguous,
    PluginError,
    PluginImportFailed,
    PluginIncompatible,
    PluginNotInstalled,
    PluginWrongType,
)
from landlord_engines_core.plugins import (
    COMPUTE_ENGINES,
    WORKER_ENGINES,
    find_compute_settings,
    list_engines,
    load_compute_engine,
    load_worker_engine,
)

Install = Callable[..., None]


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


def refused(name: str) -> PluginError:
    with pytest.raises(PluginError) as caught:
        load_worker_engine(name)
    return caught.value


def test_the_list_imports_nothing_and_names_each_distribution(install: Install) -> None:
    install("broken", "sick", "raise SystemExit")

    found = {str(one): one.version for one in list_engines(WORKER_ENGINES)}

    assert any(text.startswith("sick (broken 1.0, ") for text in found)
    assert any(one.name == "mock" for one in list_engines(COMPUTE_ENGINES))


def test_an_engine_is_loaded_with_where_it_came_from() -> None:
    candidate, factory = load_worker_engine("stepfunctions")

    assert candidate.distribution == "landlord-engines-stepfunctions-stub"
    assert factory.settings_type.__name__ == "StepFunctionsSettings"


def test_a_name_that_is_not_installed_gets_a_suggestion() -> None:
    error = refused("restat")

    assert isinstance(error, PluginNotInstalled)
    assert error.hint == "did you mean restate?"
    assert sys.executable in error.message


def test_a_name_like_no_other_gets_the_list() -> None:
    assert "restate, stepfunctions" in refused("zzz").message


def test_a_known_engine_that_is_missing_gets_its_pip_line(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "path", [])

    assert refused("restate").hint == "pip install landlord-engines-restate"


def test_two_distributions_of_one_name_are_both_named(install: Install) -> None:
    install("acme-one", "twin")
    install("acme-two", "twin")

    error = refused("twin")

    assert isinstance(error, PluginAmbiguous)
    assert "acme-one 1.0" in error.message
    assert "acme-two 1.0" in error.message


def test_an_engine_of_another_major_version_is_incompatible(install: Install) -> None:
    install("future", "tomorrow", group=f"{WORKER_ENGINES}.v2")

    error = refused("tomorrow")

    assert isinstance(error, PluginIncompatible)
    assert "this host implements version 1" in error.message


@pytest.mark.parametrize(
    "code", ["import nowhere_at_all", "raise SystemExit(0)", "assert False, 'no'", "1 / 0"]
)
def test_an_engine_that_cannot_be_imported_keeps_its_cause(install: Install, code: str) -> None:
    install("sick", "ill", code)

    error = refused("ill")

    assert isinstance(error, PluginImportFailed)
    assert "sick 1.0" in error.message
    assert error.__cause__ is not None


def test_an_entry_point_to_something_else_is_the_wrong_type(install: Install) -> None:
    install("odd", "strange", "factory = 5")
    install("odder", "stranger", "factory = 5", COMPUTE_ENGINES)

    assert isinstance(refused("strange"), PluginWrongType)
    with pytest.raises(PluginWrongType, match="not to a ComputeEngineFactory"):
        load_compute_engine("stranger")
    assert find_compute_settings("stranger") is None


COMPUTE = """
from landlord_engines_core.api import ComputeEngineFactory, ComputeEngineInfo
factory = ComputeEngineFactory(
    info=ComputeEngineInfo(name="own", contract={contract}), settings_type={kind}, create_engine=print
)
"""


@pytest.mark.parametrize(
    ("contract", "kind", "error", "named"),
    [
        (99, "dict", PluginIncompatible, "is for contract 99, and this host implements contract 1"),
        (1, "dict", PluginWrongType, "a settings_type that is no attrs class"),
    ],
)
def test_a_compute_engine_that_no_host_can_use_is_refused_with_the_reason(
    install: Install, contract: int, kind: str, error: type[PluginError], named: str
) -> None:
    install("ours", "own", COMPUTE.format(contract=contract, kind=kind), COMPUTE_ENGINES)

    with pytest.raises(error, match=named):
        load_compute_engine("own")


def test_a_compute_engine_is_loaded() -> None:
    _, factory = load_compute_engine("mock")

    assert factory.info.name == "mock"
    assert find_compute_settings("mock") is factory.settings_type
