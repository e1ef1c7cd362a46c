"""The table of scenarios in docs/reliability.md names tests; these have to be there."""

import re
from functools import cache
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]

SCENARIOS = tuple(f"S{number}" for number in range(1, 16))


@cache
def table() -> dict[str, list[str]]:
    """The tests that each row names, as path::name."""
    document = (ROOT / "docs" / "reliability.md").read_text()
    rows = re.findall(r"^\| (S\d+) \|.*\| (.*) \|$", document, re.MULTILINE)
    return {row: [one.strip("`") for one in cell.split(", ")] for row, cell in rows}


def test_every_scenario_has_a_row() -> None:
    assert tuple(table()) == SCENARIOS


@pytest.mark.parametrize("scenario", SCENARIOS)
def test_every_test_that_a_scenario_names_is_there(scenario: str) -> None:
    named = [one.split("::") for one in table()[scenario]]

    for path, name in named:
        source = (ROOT / "tests" / path).read_text()
        assert re.search(rf"^ *(async )?def {name}\(", source, re.MULTILINE), f"{path}::{name}"
