"""Release notes are what the changelogs say of one version."""

import attrs
import pytest

from release.notes import find_date, write_notes
from release.projects import Project


def test_the_notes_have_the_versions_section_without_links_into_the_source_tree(
    project: Project,
) -> None:
    assert write_notes([project]) == (
        "# own 1.2.0\n\n### Added\n\n- News, see the page and [elsewhere](https://example.com).\n"
    )


def test_each_distribution_has_a_part_of_its_own(project: Project) -> None:
    other = attrs.evolve(project, about={**project.about, "name": "other", "version": "1.1.0"})

    assert write_notes([project, other]).endswith("\n\n# other 1.1.0\n\n- Old.\n")


def test_a_version_that_the_changelog_lacks_is_an_error(project: Project) -> None:
    with pytest.raises(LookupError, match=r"changelog of own has no section 1\.3\.0"):
        find_date(attrs.evolve(project, about={"name": "own", "version": "1.3.0"}))
