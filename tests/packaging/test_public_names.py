import pkgutil
from collections.abc import Iterator
from importlib import import_module
from types import ModuleType

import pytest

NAMES = (
    "landlord_engines_core",
    "landlord_engines_restate",
    "landlord_engines_stepfunctions_stub",
)


def modules() -> Iterator[str]:
    for name in NAMES:
        yield name
        for found in pkgutil.walk_packages(import_module(name).__path__, f"{name}."):
            yield found.name


def bare(module: ModuleType) -> bool:
    """Whether there is nothing in it but its submodules."""
    return all(
        name.startswith("_") or isinstance(value, ModuleType)
        for name, value in vars(module).items()
    )


@pytest.mark.parametrize("name", sorted(modules()))
def test_a_module_lists_its_public_names_once_and_has_them(name: str) -> None:
    module = import_module(name)

    public: list[str] | None = getattr(module, "__all__", None)

    assert public is not None or bare(module)
    assert len(public or ()) == len(set(public or ()))
    assert not [one for one in public or () if not hasattr(module, one)]
