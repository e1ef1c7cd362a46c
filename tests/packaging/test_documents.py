"""Documents name tests and commands; these have to be there."""

import re
from pathlib import Path

ROOT = Path(__file__).parents[2]


def test_every_test_that_the_list_of_defects_names_is_there() -> None:
    named = set(re.findall(r"`(test_\w+)`", (ROOT / "docs" / "go-worker-defects.md").read_text()))
    there = {
        name
        for path in (ROOT / "tests").rglob("test_*.py")
        for name in re.findall(r"def (test_\w+)\(", path.read_text())
    }

    assert named
    assert named <= there


def test_every_defect_up_to_twenty_has_a_row() -> None:
    rows = re.findall(
        r"^\| (\d+) \|", (ROOT / "docs" / "go-worker-defects.md").read_text(), re.MULTILINE
    )

    assert [int(row) for row in rows] == list(range(1, 21))
