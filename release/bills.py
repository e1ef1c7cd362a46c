"""Exact versions with hashes, an SBOM and an audit of each distribution with all that it needs.

https://cyclonedx.org describes the format of an SBOM, a software bill of materials.
"""

import json
import re
import sys
import tempfile
from pathlib import Path

from release.building import hash_file
from release.programs import ReleaseFailed, run
from release.projects import DISTRIBUTIONS, Project

__all__ = ["audit", "read_audit", "write_requirements", "write_sbom"]

_SPECIFICATION = "1.6"
"""The version of CycloneDX, the latest that ECMA has as a standard (ECMA-424)."""


def write_requirements(project: Project, packages: Path, constraints: Path, file: Path) -> None:
    """Write what the project is installed with, each file with its hash.

    The versions are those of the constraints, with which the tests ran. The extras of production are
    included.
    """
    extras = [f"--extra={extra}" for extra in project.extras]
    ours = [name.replace("_", "-") for name in DISTRIBUTIONS]
    others = run(
        *("uv", "pip", "compile", "--universal", "--python-version=3.11", "--generate-hashes"),
        *("--no-header", "--no-annotate", "--no-emit-index-url", "--quiet"),
        *(f"--constraints={constraints}", f"--find-links={packages}", *extras),
        *(f"--no-emit-package={name}" for name in ours),
        str(project.folder / "pyproject.toml"),
    )
    needed = {project.name, *(name for name in ours if _requires(project, name))}
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_text("".join(_pin(name, packages) for name in sorted(needed)) + others, "utf-8")


def _requires(project: Project, name: str) -> bool:
    return any(line.startswith(f"{name}~=") for line in project.about["dependencies"])


def _pin(name: str, packages: Path) -> str:
    """Pin one of our distributions to the files that were built."""
    files = sorted(packages.glob(f"{name.replace('-', '_')}-*"))
    version = files[0].name.split("-")[1].removesuffix(".tar.gz")
    hashes = "".join(f" \\\n    --hash=sha256:{hash_file(file)}" for file in files)
    return f"{name}=={version}{hashes}\n"


def write_sbom(project: Project, packages: Path, requirements: Path, file: Path) -> None:
    """Install the requirements in an environment, and list its contents as CycloneDX.

    cyclonedx-py validates the list against the schema of the specification. It contains neither times nor
    random numbers.
    """
    file.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory() as folder:
        environment = Path(folder) / "environment"
        run("uv", "venv", "--quiet", f"--python={sys.executable}", str(environment))
        python = environment / "bin" / "python"
        run(
            *("uv", "pip", "install", "--quiet", "--require-hashes", f"--python={python}"),
            *(f"--find-links={packages}", f"--requirements={requirements}"),
        )
        run(
            *("cyclonedx-py", "environment", f"--pyproject={project.folder / 'pyproject.toml'}"),
            *("--mc-type=library", "--output-reproducible", "--validate"),
            *(f"--spec-version={_SPECIFICATION}", f"--output-file={file}", str(python)),
        )


def audit(requirements: Path) -> str:
    """Ask PyPI for known vulnerabilities of what is installed with a project.

    Returns:
        The result in words.

    Raises:
        ReleaseFailed: There is one.
    """
    with tempfile.TemporaryDirectory() as folder:
        report, others = Path(folder) / "audit.json", Path(folder) / "requirements.txt"
        others.write_text(_drop_ours(requirements.read_text("utf-8")), "utf-8")
        run(
            *("pip-audit", "--format=json", f"--output={report}", "--progress-spinner=off"),
            *("--disable-pip", f"--requirement={others}"),
            # Its report says whether 1 stands for a vulnerability or for a failure, which writes none.
            codes=(0, 1),
        )
        if not report.exists():
            raise ReleaseFailed("pip-audit could not ask its database")
        return read_audit(report.read_text(encoding="utf-8"))


def _drop_ours(requirements: str) -> str:
    """Leave out our own distributions, which PyPI does not know before the release."""
    ours = "|".join(name.replace("_", "-") for name in DISTRIBUTIONS)
    return re.sub(rf"(?m)^({ours})==.*(\n .*)*\n", "", requirements)


def read_audit(report: str) -> str:
    """Read a report of pip-audit, and say in words what it found.

    Raises:
        ReleaseFailed: It names a vulnerability.
    """
    dependencies = json.loads(report)["dependencies"]
    faults = [
        f"{dependency['name']} {dependency['version']}: {fault['id']}"
        for dependency in dependencies
        for fault in dependency.get("vulns", ())
    ]
    if faults:
        raise ReleaseFailed(f"known vulnerabilities: {', '.join(faults)}")
    skipped = [dependency["name"] for dependency in dependencies if "skip_reason" in dependency]
    if not skipped:
        return f"{len(dependencies)} packages without a known vulnerability"
    return (
        f"NOT AUDITED, {len(skipped)} of {len(dependencies)}: the database has no answer for them"
    )
