"""Documents name tests, pages, settings and outputs, and all of these exist."""

import re
import sqlite3
import subprocess
import sys
from contextlib import closing
from pathlib import Path

import pytest

from landlord_engine_sqlite.store import Store
from landlord_test_target.documents import OWN_TESTS
from landlord_test_target.settings_table import update_table

ROOT = Path(__file__).parents[2]

DEFECTS = (ROOT / "docs" / "go-worker-defects.md").read_text(encoding="utf-8")

PAGES = sorted(
    path
    for path in ROOT.rglob("*.md")
    if not any(part.startswith(".") for part in path.relative_to(ROOT).parts)
)


def test_every_test_that_the_list_of_defects_names_exists() -> None:
    named = set(re.findall(r"`(test_\w+)`", DEFECTS))
    defined = {
        name
        for path in (ROOT / "tests").rglob("*.py")
        for name in re.findall(r"def (test_\w+)\(", path.read_text(encoding="utf-8"))
    }

    assert named
    assert named <= defined


def test_every_defect_has_a_row() -> None:
    rows = re.findall(r"^\| (\d+) \|", DEFECTS, re.MULTILINE)

    assert [int(row) for row in rows] == list(range(1, 32))


def test_the_table_of_settings_is_that_of_the_settings_tree() -> None:
    document = (ROOT / "docs" / "operating" / "configure.md").read_text(encoding="utf-8")

    assert document == update_table(document), (
        "run `python -m landlord_test_target.settings_table docs/operating/configure.md`"
    )


def anchors(page: Path) -> set[str]:
    """List the anchors of a page's headings, as GitHub makes them."""
    headings = re.findall(r"^#+ (.*)$", page.read_text(encoding="utf-8"), re.MULTILINE)
    return {re.sub(r"[^\w -]", "", heading.lower()).replace(" ", "-") for heading in headings}


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_every_link_has_an_existing_target(page: Path) -> None:
    links = re.findall(r"\]\((?!https?:)([^)#]*)#?([^)]*)\)", page.read_text(encoding="utf-8"))

    for target, anchor in links:
        linked = page.parent / target if target else page
        assert linked.exists(), target
        assert not anchor or anchor in anchors(linked), f"{target}#{anchor}"


def test_every_page_is_linked_from_the_readme() -> None:
    """A page is linked from the README, or from an overview that the README links."""
    readme = (ROOT / "README.md").read_text(encoding="utf-8")
    overview = (ROOT / "docs" / "reliability.md").read_text(encoding="utf-8")
    linked = {*re.findall(r"\(docs/([\w/-]+\.md)", readme), *re.findall(r"\((\S+\.md)", overview)}

    pages = {str(path.relative_to(ROOT / "docs")) for path in (ROOT / "docs").rglob("*.md")}

    assert {page for page in pages if not page.startswith("decisions/")} <= linked


@pytest.mark.parametrize(("document", "test"), OWN_TESTS.items())
def test_a_document_whose_commands_build_on_each_other_has_a_test_that_reads_it(
    document: str, test: str
) -> None:
    assert f'"{document}"' in (ROOT / "tests" / "e2e" / test).read_text()


def test_the_stub_ends_as_its_readme_shows(tmp_path: Path) -> None:
    readme = ROOT / "landlord_engines_stepfunctions_stub" / "README.md"
    session = re.findall(r"^```\n(.*?)^```$", readme.read_text(), re.MULTILINE | re.DOTALL)[0]
    command, *output, _, code = session.splitlines()

    ran = subprocess.run(
        [Path(sys.executable).parent / "landlord-host", *command.split()[2:]],
        cwd=tmp_path,
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
    )

    assert command.startswith("$ landlord-host ")
    assert ran.stderr.splitlines()[-1:] == output
    assert ran.returncode == int(code)


def test_the_sqlite_engine_accepts_the_jobs_of_its_readme(tmp_path: Path) -> None:
    readme = (ROOT / "examples" / "sqlite_engine" / "README.md").read_text()
    insert, select = re.findall(r'^sqlite3 jobs.db "(.*)"$', readme, re.MULTILINE)
    Store(tmp_path / "jobs.db").close()

    with closing(sqlite3.connect(tmp_path / "jobs.db")) as database:
        database.execute(insert.replace('\\"', '"'))
        rows = database.execute(select).fetchall()

    assert rows == [(1, "open", 0, "")]
