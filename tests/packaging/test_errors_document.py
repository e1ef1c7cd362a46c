"""docs/errors.md lists each error code with its error, and no other."""

import importlib
import pkgutil
import re
from collections.abc import Iterator
from pathlib import Path

import landlord_engines_core
import landlord_engines_restate
import landlord_engines_stepfunctions_stub
from landlord_engines_core.errors import LandlordEnginesError

DOCUMENT = Path(__file__).parents[2] / "docs" / "errors.md"
DISTRIBUTIONS = (
    landlord_engines_core,
    landlord_engines_restate,
    landlord_engines_stepfunctions_stub,
)


def errors(base: type[LandlordEnginesError]) -> Iterator[type[LandlordEnginesError]]:
    yield base
    for kind in base.__subclasses__():
        yield from errors(kind)


def test_each_error_code_is_documented_with_its_error() -> None:
    for package in DISTRIBUTIONS:
        for module in pkgutil.walk_packages(package.__path__, f"{package.__name__}."):
            importlib.import_module(module.name)
    raised_codes = {
        (kind.code, kind.__name__)
        for kind in errors(LandlordEnginesError)
        if kind.__module__.startswith("landlord_engines_") and "code" in vars(kind)
    }

    rows = re.findall(r"^\| (LE\d{3}) \| (\w+) \|", DOCUMENT.read_text(), re.MULTILINE)

    assert sorted(rows) == sorted(raised_codes)
