"""A tag is published only if the distributions are ready for it."""

from pathlib import Path

from release.projects import Project, read_projects
from release.readiness import find_obstacles

ROOT = Path(__file__).parents[2]


def test_nothing_keeps_a_tag_from_being_published_that_fits_the_distributions(
    project: Project,
) -> None:
    assert list(find_obstacles([project], "v1.2.0")) == []


def test_each_obstacle_is_named_with_the_file_to_change() -> None:
    obstacles = list(find_obstacles(read_projects(ROOT), "v0.0.9"))

    assert obstacles[:3] == [
        "the tag is 'v0.0.9', and landlord-engines-core has the version 0.1.0",
        "landlord_engines_core/CHANGELOG.md has 'unreleased' in place of the release's date",
        "landlord_engines_core/pyproject.toml has no Source in [project.urls]",
    ]
