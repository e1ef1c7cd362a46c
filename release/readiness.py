"""Obstacles to the publication of a tag."""

import re
from collections.abc import Iterable, Iterator

from release.notes import find_date
from release.projects import Project

__all__ = ["find_obstacles"]


def find_obstacles(projects: Iterable[Project], tag: str) -> Iterator[str]:
    """List what keeps a tag from being published, each with the file to change."""
    for project in projects:
        if tag != f"v{project.version}":
            yield f"the tag is {tag!r}, and {project.name} has the version {project.version}"
        if not re.fullmatch(r"\d{4}-\d\d-\d\d", date := find_date(project)):
            yield f"{project.folder.name}/CHANGELOG.md has {date!r} in place of the release's date"
        if "Source" not in project.about.get("urls", {}):
            yield f"{project.folder.name}/pyproject.toml has no Source in [project.urls]"
