"""Reading the entry points of installed distributions, one distribution at a time.

A damaged distribution then hides no other. `importlib.metadata.entry_points` raises for all of them if
one file is not UTF-8 or has a line without ``=`` (observed with Python 3.11 to 3.13).
"""

import re
from collections.abc import Callable, Iterable, Iterator
from importlib.metadata import Distribution, EntryPoint, distributions

import attrs

__all__ = ["Damaged", "Installed", "canonical_name", "read_installed"]

_LEFT_OVER = ("~", "-")
"""Prefixes of a folder that pip is replacing, or left behind; it is no distribution."""

_STEM = re.compile(r"(?P<name>.+?)-(?P<version>[^-]+)(-.*)?\.(dist|egg)-info")
_UNKNOWN = "unknown"


@attrs.frozen(kw_only=True)
class Damaged:
    """Distribution whose metadata cannot be read, with the reason."""

    name: str
    version: str
    reason: str

    def __str__(self) -> str:
        return f"{self.name} {self.version}: {self.reason}"


@attrs.frozen(kw_only=True)
class Installed:
    """Distribution, with the readable part of its metadata.

    Attributes:
        entry_points: Its entry points; none if its ``entry_points.txt`` is damaged.
        damage: Why a part of it cannot be read, or empty.
    """

    name: str
    version: str
    entry_points: tuple[EntryPoint, ...]
    damage: str = ""

    @property
    def report(self) -> Damaged:
        """The distribution in a report of damaged ones."""
        return Damaged(name=self.name, version=self.version, reason=self.damage)


def canonical_name(distribution: str) -> str:
    """Return the spelling of a distribution's name in which pip compares names."""
    return re.sub(r"[-_.]+", "-", distribution).lower()


def read_installed(is_selected: Callable[[str], bool]) -> tuple[Installed, ...]:
    """Read all distributions, and import none.

    Of two distributions with the same name, the first on the path counts, as in Python. A sound one
    precedes a damaged one.

    Args:
        is_selected: Says for a group of entry points whether to return it.

    Returns:
        Each distribution that has such an entry point, or whose entry points cannot be read.
    """
    by_name: dict[str, Installed] = {}
    for distribution in _candidates(is_selected):
        key = canonical_name(distribution.name)
        if key not in by_name or (by_name[key].damage and not distribution.damage):
            by_name[key] = distribution
    return tuple(by_name.values())


def _candidates(is_selected: Callable[[str], bool]) -> Iterator[Installed]:
    seen: set[str] = set()
    for distribution in distributions():
        folder = _folder(distribution)
        if folder.startswith(_LEFT_OVER) or (folder and folder in seen):
            continue
        seen.add(folder)
        if (readable := _read(distribution, folder, is_selected)) is not None:
            yield readable


def _read(
    distribution: Distribution, folder: str, is_selected: Callable[[str], bool]
) -> Installed | None:
    try:
        points, damage = _filter_groups(distribution.entry_points, is_selected), ""
    except Exception as error:  # noqa: BLE001  # each damage raises another kind of error
        points, damage = (), f"its entry_points.txt {_reason(error)}"
    if not points and not damage:
        return None
    name, version = _read_name(distribution)
    if not (name and version):
        damage = damage or "its METADATA is missing or cannot be read"
        folder_name, folder_version = _split_folder(folder)
        name, version = name or folder_name, version or folder_version
    return Installed(name=name, version=version, entry_points=points, damage=damage)


def _read_name(distribution: Distribution) -> tuple[str, str]:
    try:
        # Each access reads and parses the file again.
        metadata = distribution.metadata
        return metadata["Name"], metadata["Version"]
    except Exception:  # noqa: BLE001  # each damage raises another kind of error
        return "", ""


def _split_folder(folder: str) -> tuple[str, str]:
    """Read name and version from the folder of a distribution without metadata."""
    if stem := _STEM.fullmatch(folder):
        return stem["name"].replace("_", "-"), stem["version"]
    return folder or _UNKNOWN, _UNKNOWN


def _filter_groups(
    points: Iterable[EntryPoint], is_selected: Callable[[str], bool]
) -> tuple[EntryPoint, ...]:
    return tuple(point for point in points if is_selected(point.group))


def _reason(error: Exception) -> str:
    if isinstance(error, UnicodeDecodeError):
        return "is not UTF-8"
    # `Pair.parse` of importlib raises TypeError if a line has no "=".
    return "has a line without '='" if isinstance(error, TypeError) else "cannot be read"


def _folder(distribution: Distribution) -> str:
    """Return the folder of the metadata; empty for a custom finder that has no folder."""
    return str(getattr(getattr(distribution, "_path", None), "name", ""))
