"""The distributions of a release, as their pyproject.toml describe them."""

import tomllib
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import attrs

__all__ = ["DISTRIBUTIONS", "Project", "read_projects"]

DISTRIBUTIONS = (
    "landlord_engines_core",
    "landlord_engines_restate",
    "landlord_engines_stepfunctions_stub",
)

_DEVELOPMENT = {"conformance", "container", "local"}
"""Extras for tests of engines and for local backends; no worker in production needs them."""


@attrs.frozen(kw_only=True)
class Project:
    """One distribution in a source tree.

    Attributes:
        folder: Its folder, which has the name of its package.
        about: The table ``project`` of its pyproject.toml.
    """

    folder: Path
    about: Mapping[str, Any]

    @property
    def name(self) -> str:
        """The name under which it is published."""
        return str(self.about["name"])

    @property
    def version(self) -> str:
        """Its version."""
        return str(self.about["version"])

    @property
    def extras(self) -> tuple[str, ...]:
        """The extras that a worker in production may need."""
        return tuple(sorted(set(self.about.get("optional-dependencies", {})) - _DEVELOPMENT))

    @property
    def changelog(self) -> str:
        """The text of its changelog."""
        return (self.folder / "CHANGELOG.md").read_text(encoding="utf-8")


def read_projects(tree: Path) -> tuple[Project, ...]:
    """Read the distributions of a source tree."""
    return tuple(
        Project(folder=tree / name, about=_read_about(tree / name)) for name in DISTRIBUTIONS
    )


def _read_about(folder: Path) -> Mapping[str, Any]:
    about: Mapping[str, Any] = tomllib.loads((folder / "pyproject.toml").read_text("utf-8"))
    table: Mapping[str, Any] = about["project"]
    return table
