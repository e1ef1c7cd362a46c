"""Files of a new distribution with one engine, from the templates beside this module."""

from collections.abc import Iterator, Mapping
from importlib.resources import files
from importlib.resources.abc import Traversable
from pathlib import Path
from string import Template

import attrs

from landlord_engines_core import __version__
from landlord_engines_core.declarations import NAME
from landlord_engines_core.errors import SettingsError

__all__ = ["Scaffold", "check_name", "render"]

_TEMPLATES = "templates"

_SUFFIX = ".template"
"""Ends the name of each template, so that no tool takes it for a module of core."""


@attrs.frozen(kw_only=True)
class Scaffold:
    """A new distribution.

    Attributes:
        kind: ``worker`` or ``compute``.
        name: The name of the engine.
    """

    kind: str
    name: str

    @property
    def distribution(self) -> str:
        """Name of the distribution, and of its folder."""
        prefix = "landlord-engine" if self.kind == "worker" else "landlord-compute"
        return f"{prefix}-{self.name}"

    @property
    def module(self) -> str:
        """Name of the package."""
        return self.distribution.replace("-", "_")

    @property
    def words(self) -> Mapping[str, str]:
        """The words that the templates contain."""
        return {
            "name": self.name,
            "distribution": self.distribution,
            "module": self.module,
            "title": "".join(part.capitalize() for part in self.name.split("-")),
            "section": self.name.replace("-", "_"),
            "core": __version__,
        }


def check_name(name: str) -> None:
    """Refuse a name that no engine may have.

    Raises:
        SettingsError: The name does not match the pattern.
    """
    if not NAME.fullmatch(name):
        raise SettingsError(
            "this is no name for an engine",
            hint="use lower-case letters, digits and hyphens, and begin with a letter",
        )


def render(scaffold: Scaffold, folder: Path) -> Path:
    """Write the files of a new distribution.

    Args:
        scaffold: The distribution.
        folder: The folder that gets its folder.

    Returns:
        The new folder.

    Raises:
        SettingsError: The name is wrong, or the folder cannot be created.
    """
    check_name(scaffold.name)
    target = folder / scaffold.distribution
    try:
        target.mkdir()
    except OSError as error:
        raise SettingsError(
            f"the folder {scaffold.distribution} cannot be created: {error.strerror}",
            hint="choose another name, or another working folder",
        ) from error
    templates = files(__package__) / _TEMPLATES
    for part in ("common", scaffold.kind):
        for path, template in _walk(templates / part):
            file = target / Template(path).substitute(scaffold.words)
            file.parent.mkdir(parents=True, exist_ok=True)
            file.write_text(Template(template).substitute(scaffold.words), encoding="utf-8")
    return target


def _walk(folder: Traversable, prefix: str = "") -> Iterator[tuple[str, str]]:
    """Yield the path and the text of each template in a folder."""
    for entry in folder.iterdir():
        if entry.is_dir():
            yield from _walk(entry, f"{prefix}{entry.name}/")
        else:
            yield prefix + entry.name.removesuffix(_SUFFIX), entry.read_text(encoding="utf-8")
