"""Reading the entry points of installed distributions, each by itself: a damaged one takes none down.

`importlib.metadata.entry_points` raises over all of them where one file has a line without ``=``, or
is not UTF-8 (observed with Python 3.11 to 3.13).
"""

import re
from collections.abc import Iterable, Iterator
from importlib.metadata import Distribution, EntryPoint, distributions

import attrs

__all__ = ["Damaged", "Installed", "installed"]

_LEFT_OVER = ("~", "-")
"""What pip puts before a folder's name while it replaces it; one that it left is no distribution."""

_STEM = re.compile(r"(?P<name>.+?)-(?P<version>[^-]+)(-.*)?\.(dist|egg)-info")
_UNKNOWN = "unknown"


@attrs.frozen(kw_only=True)
class Damaged:
    """A distribution whose metadata cannot be read, and why."""

    name: str
    reason: str

    def __str__(self) -> str:
        return f"{self.name}: {self.reason}"


@attrs.frozen(kw_only=True)
class Installed:
    """A distribution, as far as it can be read.

    Attributes:
        entry_points: All of its entry points; none where its ``entry_points.txt`` is damaged.
        damage: Why a part cannot be read; empty where all can.
    """

    name: str
    version: str
    entry_points: tuple[EntryPoint, ...]
    damage: str = ""

    @property
    def damaged(self) -> Damaged:
        """The distribution in a report."""
        return Damaged(name=f"{self.name} {self.version}", reason=self.damage)


def installed(prefix: str) -> tuple[Installed, ...]:
    """Read all distributions, importing none.

    Of two with the same name the first on the path counts, as for Python itself, and a sound one
    before a damaged one. What pip left behind of a replacement counts not at all.

    Args:
        prefix: How the groups begin that matter. Others are not returned.

    Returns:
        Each distribution that has such an entry point, or whose entry points cannot be read.
    """
    found: dict[str, Installed] = {}
    for one in _candidates(prefix):
        key = re.sub(r"[-_.]+", "-", one.name).lower()
        if key not in found or (found[key].damage and not one.damage):
            found[key] = one
    return tuple(found.values())


def _candidates(prefix: str) -> Iterator[Installed]:
    seen: set[str] = set()
    for distribution in distributions():
        folder = _folder(distribution)
        if folder.startswith(_LEFT_OVER) or (folder and folder in seen):
            continue
        seen.add(folder)
        if (one := _read(distribution, folder, prefix)) is not None:
            yield one


def _read(distribution: Distribution, folder: str, prefix: str) -> Installed | None:
    try:
        points, damage = _of_groups(distribution.entry_points, prefix), ""
    except Exception as error:  # noqa: BLE001  # each damage raises an error of its own kind
        points, damage = (), f"its entry_points.txt {_told(error)}"
    if not points and not damage:
        return None
    try:
        name, version = distribution.metadata["Name"], distribution.metadata["Version"]
    except Exception:  # noqa: BLE001  # as above
        name, version = "", ""
    if not (name and version):
        damage = damage or "its METADATA is missing or cannot be read"
        stem = _STEM.fullmatch(folder)
        name = name or (stem["name"].replace("_", "-") if stem else folder or _UNKNOWN)
        version = version or (stem["version"] if stem else _UNKNOWN)
    return Installed(name=name, version=version, entry_points=points, damage=damage)


def _of_groups(points: Iterable[EntryPoint], prefix: str) -> tuple[EntryPoint, ...]:
    return tuple(point for point in points if point.group.startswith(prefix))


def _told(error: Exception) -> str:
    if isinstance(error, UnicodeDecodeError):
        return "is not UTF-8"
    # What `Pair.parse` raises where there is nothing to split a line at.
    return "has a line without '='" if isinstance(error, TypeError) else "cannot be read"


def _folder(distribution: Distribution) -> str:
    """The name of the folder that holds the metadata; other finders than Python's have none."""
    return str(getattr(getattr(distribution, "_path", None), "name", ""))
