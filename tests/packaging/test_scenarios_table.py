"""The tables of docs/reliability/ name the tests of each scenario and of each kind of mistake."""

import re
from functools import cache
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]

SCENARIOS = tuple(f"S{number}" for number in range(1, 16))
KINDS = tuple("ABCDEFGHIJKLMNOPQRSTU")
TABLES = {"scenarios": SCENARIOS, "field-faults": KINDS}


@cache
def table(page: str) -> dict[str, list[str]]:
    """Read the tests of each row, as path::name."""
    document = (ROOT / "docs" / "reliability" / f"{page}.md").read_text(encoding="utf-8")
    rows = re.findall(r"^\| ([A-Z]\d*) \|.*\| (.*) \|$", document, re.MULTILINE)
    tests: dict[str, list[str]] = {}
    for row, cell in rows:
        tests.setdefault(row, []).extend(test.strip("`") for test in cell.split(", "))
    return tests


@pytest.mark.parametrize("page", TABLES)
def test_every_scenario_has_a_row(page: str) -> None:
    assert tuple(table(page)) == TABLES[page]


@pytest.mark.parametrize(
    ("page", "row"), [(page, row) for page, rows in TABLES.items() for row in rows]
)
def test_every_test_that_a_row_names_exists(page: str, row: str) -> None:
    listed_tests = [test.split("::") for test in table(page)[row]]

    for path, name in listed_tests:
        source = (ROOT / "tests" / path).read_text(encoding="utf-8")
        assert re.search(rf"^ *(async )?def {name}\(", source, re.MULTILINE), f"{path}::{name}"
