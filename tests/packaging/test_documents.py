"""Documents name tests and commands; these have to be there."""

import re
from pathlib import Path

from landlord_test_target.settings_table import written

ROOT = Path(__file__).parents[2]


def test_every_test_that_the_list_of_defects_names_is_there() -> None:
    named = set(re.findall(r"`(test_\w+)`", (ROOT / "docs" / "go-worker-defects.md").read_text()))
    there = {
        name
        for path in (ROOT / "tests").rglob("*.py")
        for name in re.findall(r"def (test_\w+)\(", path.read_text())
    }

    assert named
    assert named <= there


def test_every_defect_has_a_row() -> None:
    rows = re.findall(
        r"^\| (\d+) \|", (ROOT / "docs" / "go-worker-defects.md").read_text(), re.MULTILINE
    )

    assert [int(row) for row in rows] == list(range(1, 32))


def test_the_table_of_settings_is_that_of_the_settings_tree() -> None:
    document = (ROOT / "docs" / "operating" / "configure.md").read_text()

    assert document == written(document), (
        "run `python -m landlord_test_target.settings_table docs/operating/configure.md`"
    )
