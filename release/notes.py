"""Release notes, taken from the changelogs."""

import re
from collections.abc import Iterable

from release.projects import Project

__all__ = ["find_date", "write_notes"]


def write_notes(projects: Iterable[Project]) -> str:
    """Join what the changelogs say of the projects' versions, with one heading for each."""
    parts = (
        f"# {project.name} {project.version}\n\n{_read_section(project)}\n" for project in projects
    )
    return "\n".join(parts)


def find_date(project: Project) -> str:
    """Find the text in parentheses after the version's heading, a date or ``unreleased``.

    Raises:
        LookupError: The changelog has no such heading.
    """
    return _find_heading(project)["date"]


def _read_section(project: Project) -> str:
    body = project.changelog[_find_heading(project).end() :].partition("\n## ")[0]
    # A link into the source tree leads nowhere from the page of a release.
    return re.sub(r"\[([^]]+)\]\((?!https?:)[^)]*\)", r"\1", body).strip()


def _find_heading(project: Project) -> re.Match[str]:
    pattern = rf"^## {re.escape(project.version)} \((?P<date>[^)]*)\)$"
    if heading := re.search(pattern, project.changelog, re.MULTILINE):
        return heading
    raise LookupError(f"the changelog of {project.name} has no section {project.version}")
