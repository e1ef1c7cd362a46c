"""Documents name tests, pages and settings; these have to be there."""

import re
from pathlib import Path

import pytest

from landlord_test_target.settings_table import written

ROOT = Path(__file__).parents[2]

DEFECTS = (ROOT / "docs" / "go-worker-defects.md").read_text(encoding="utf-8")

PAGES = sorted(
    path
    for path in ROOT.rglob("*.md")
    if not any(part.startswith(".") for part in path.relative_to(ROOT).parts)
)


def test_every_test_that_the_list_of_defects_names_is_there() -> None:
    named = set(re.findall(r"`(test_\w+)`", DEFECTS))
    there = {
        name
        for path in (ROOT / "tests").rglob("*.py")
        for name in re.findall(r"def (test_\w+)\(", path.read_text(encoding="utf-8"))
    }

    assert named
    assert named <= there


def test_every_defect_has_a_row() -> None:
    rows = re.findall(r"^\| (\d+) \|", DEFECTS, re.MULTILINE)

    assert [int(row) for row in rows] == list(range(1, 32))


def test_the_table_of_settings_is_that_of_the_settings_tree() -> None:
    document = (ROOT / "docs" / "operating" / "configure.md").read_text(encoding="utf-8")

    assert document == written(document), (
        "run `python -m landlord_test_target.settings_table docs/operating/configure.md`"
    )


def anchors(page: Path) -> set[str]:
    """List the anchors of a page's headings, as GitHub makes them."""
    headings = re.findall(r"^#+ (.*)$", page.read_text(encoding="utf-8"), re.MULTILINE)
    return {re.sub(r"[^\w -]", "", heading.lower()).replace(" ", "-") for heading in headings}


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_every_link_leads_to_a_page_and_a_heading(page: Path) -> None:
    links = re.findall(r"\]\((?!https?:)([^)#]*)#?([^)]*)\)", page.read_text(encoding="utf-8"))

    for target, anchor in links:
        there = (page.parent / target) if target else page
        assert there.exists(), target
        assert not anchor or anchor in anchors(there), f"{target}#{anchor}"


def test_every_page_is_linked_from_the_readme() -> None:
    """Every reader finds their page in one step, or in two over an overview."""
    readme = (ROOT / "README.md").read_text(encoding="utf-8")
    overview = (ROOT / "docs" / "reliability.md").read_text(encoding="utf-8")
    linked = {*re.findall(r"\(docs/([\w/-]+\.md)", readme), *re.findall(r"\((\S+\.md)", overview)}

    pages = {str(path.relative_to(ROOT / "docs")) for path in (ROOT / "docs").rglob("*.md")}

    assert {page for page in pages if not page.startswith("decisions/")} <= linked
