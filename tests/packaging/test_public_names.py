import pkgutil
import re
import subprocess
import sys
from collections.abc import Iterator
from importlib import import_module
from pathlib import Path
from types import ModuleType

import pytest

from landlord_engines_core import api
from landlord_test_target.api_reference import PAGE, update_page

ROOT = Path(__file__).parents[2]

NAMES = (
    "landlord_engines_core",
    "landlord_engines_restate",
    "landlord_engines_stepfunctions_stub",
)


def modules() -> Iterator[str]:
    for name in NAMES:
        yield name
        for module in pkgutil.walk_packages(import_module(name).__path__, f"{name}."):
            yield module.name


def has_only_submodules(module: ModuleType) -> bool:
    """Check whether a module contains only submodules."""
    return all(
        name.startswith("_") or isinstance(value, ModuleType)
        for name, value in vars(module).items()
    )


@pytest.mark.parametrize("name", sorted(modules()))
def test_a_module_lists_its_public_names_once_and_has_them(name: str) -> None:
    module = import_module(name)

    public: list[str] | None = getattr(module, "__all__", None)

    assert public is not None or has_only_submodules(module)
    assert len(public or ()) == len(set(public or ()))
    assert not [name for name in public or () if not hasattr(module, name)]


def test_the_public_module_offers_what_the_document_for_authors_names() -> None:
    text = (ROOT / "docs" / "writing-an-engine.md").read_text()

    named = set(re.findall(r"`landlord_engines_core\.api\.(\w+)`", text))

    assert named
    assert named <= set(api.__all__)


def test_the_reference_of_the_public_names_is_that_of_the_code() -> None:
    page = PAGE.read_text(encoding="utf-8")

    assert page == update_page(page), "run `python -m landlord_test_target.api_reference`"


@pytest.mark.parametrize(
    "folder",
    [
        "examples/sqlite_engine/src",
        "examples/folder_engine/src",
        "landlord_engines_stepfunctions_stub/src",
    ],
)
def test_an_engine_needs_nothing_of_core_but_the_public_module(folder: str) -> None:
    texts = [path.read_text() for path in (ROOT / folder).rglob("*.py")]

    imported = {
        name for text in texts for name in re.findall(r"from (landlord_engines_core\S*)", text)
    }

    assert imported == {"landlord_engines_core.api"}


def test_the_package_does_not_import_the_public_module() -> None:
    code = "import sys, landlord_engines_core; print('landlord_engines_core.api' in sys.modules)"

    output = subprocess.run(
        [sys.executable, "-c", code], check=True, capture_output=True, text=True
    ).stdout

    assert output == "False\n"
