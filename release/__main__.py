"""Builds and checks a release, up to the upload: ``python -m release FOLDER [TAG]``.

Without a tag, it is a rehearsal. With one, it fails at what must not be published.
"""

import sys
from collections.abc import Iterator
from pathlib import Path

from release.bills import audit, write_requirements, write_sbom
from release.building import build_twice, hash_file
from release.notes import write_notes
from release.programs import ReleaseFailed, run
from release.projects import Project, read_projects
from release.readiness import find_obstacles

_ROOT = Path(__file__).parents[1]
_WORKFLOW = _ROOT / ".github" / "workflows" / "release.yml"


def make_release(target: Path, tag: str) -> Iterator[str]:
    """Build and check a release, and say each result in words.

    Raises:
        ReleaseFailed: A step failed.
    """
    projects = read_projects(_ROOT)
    if dirty := run("git", "status", "--porcelain", folder=_ROOT):
        yield f"NOT RELEASED, since only the latest commit is built:\n{dirty.rstrip()}"
    if tag and (obstacles := [*find_obstacles(projects, tag), *dirty.splitlines()]):
        raise ReleaseFailed(f"{tag} cannot be published:\n" + "\n".join(obstacles))
    run("zizmor", "--offline", "--no-progress", "--persona=pedantic", str(_WORKFLOW))
    yield f"{_WORKFLOW.name}: no finding of zizmor"
    build_twice(_ROOT, target / "packages")
    yield "two builds of one commit: the same bytes"
    for project in projects:
        yield f"{project.name}: {_describe_contents(project, target, tag)}"
    (target / "notes.txt").write_text(write_notes(projects), encoding="utf-8")
    yield from _write_sums(target)


def _describe_contents(project: Project, target: Path, tag: str) -> str:
    packages = target / "packages"
    requirements = target / "requirements" / f"{project.name}-{project.version}.txt"
    write_requirements(project, packages, _ROOT / "constraints.txt", requirements)
    sbom = target / "sbom" / f"{project.name}-{project.version}.cdx.json"
    write_sbom(project, packages, requirements, sbom)
    result = audit(requirements)
    if tag and "NOT AUDITED" in result:
        raise ReleaseFailed(f"{project.name}: {result}")
    return f"SBOM valid, {result}"


def _write_sums(target: Path) -> Iterator[str]:
    files = sorted(file for file in target.rglob("*") if file.is_file())
    sums = [f"{hash_file(file)}  {file.relative_to(target)}" for file in files]
    (target / "SHA256SUMS").write_text("".join(f"{line}\n" for line in sums), encoding="utf-8")
    yield from sums


def main() -> None:
    """Run the command."""
    folder, *tag = sys.argv[1:]
    try:
        for line in make_release(Path(folder), "".join(tag)):
            print(line, flush=True)
    except (ReleaseFailed, LookupError) as error:
        sys.exit(f"no release: {error}")


if __name__ == "__main__":
    main()
