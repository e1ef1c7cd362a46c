"""The catalog of installed engines, read from their metadata; reading it imports no engine.

It also holds the engines in groups that this host does not read: those of another major version of the
contract, and misspelt ones.
"""

import re
import sys
from functools import cache, lru_cache
from importlib.metadata import EntryPoint
from pathlib import Path

import attrs

from landlord_engines_core.distributions import (
    Damaged,
    Installed,
    canonical_name,
    read_installed,
)
from landlord_engines_core.spelling import find_similar

__all__ = [
    "COMPUTE_ENGINES",
    "GROUPS",
    "WORKER_ENGINES",
    "Candidate",
    "Catalog",
    "list_damaged",
    "list_engines",
    "match_group",
    "read_catalog",
]

WORKER_ENGINES = "landlord.worker_engines"
COMPUTE_ENGINES = "landlord.compute_engines"
"""Groups of entry points; a group without a suffix is major version 1."""

GROUPS = (WORKER_ENGINES, COMPUTE_ENGINES)


@attrs.frozen(kw_only=True)
class Candidate:
    """Engine that an installed distribution offers."""

    group: str
    name: str
    target: str
    distribution: str
    version: str
    entry_point: EntryPoint = attrs.field(repr=False, eq=False)

    def __str__(self) -> str:
        return f"{self.name} ({self.distribution} {self.version}, {self.target})"

    @property
    def label(self) -> str:
        """Its kind, name, distribution and target, for messages."""
        kind = "compute engine" if match_group(self.group) == COMPUTE_ENGINES else "worker engine"
        return f"{kind} {self}"

    @property
    def full_name(self) -> str:
        """Its name with its distribution, which chooses it among duplicates."""
        return f"{self.distribution}:{self.name}"

    def is_called(self, name: str) -> bool:
        """Whether a name that an operator gave, ``NAME`` or ``DISTRIBUTION:NAME``, means it."""
        distribution, _, short = name.rpartition(":")
        return self.name == short and (not distribution or self.is_from(distribution))

    def is_from(self, distribution: str) -> bool:
        """Whether a distribution of this name offers it, in any spelling that pip accepts."""
        return canonical_name(self.distribution) == canonical_name(distribution)


@attrs.frozen(kw_only=True)
class Catalog:
    """The engines of all installed distributions.

    Attributes:
        engines: The engines, ordered by group, name and distribution.
        damaged: Distributions that cannot be read; an engine may be in one of them.
    """

    engines: tuple[Candidate, ...]
    damaged: tuple[Damaged, ...]

    @property
    def groups(self) -> tuple[str, ...]:
        """The groups that this host reads, and then the others that have engines."""
        return tuple(dict.fromkeys((*GROUPS, *(engine.group for engine in self.engines))))

    def in_group(self, group: str) -> tuple[Candidate, ...]:
        """List the engines of one group."""
        return tuple(engine for engine in self.engines if engine.group == group)

    def find_named(self, group: str, name: str) -> tuple[Candidate, ...]:
        """Find the engines of this group and name; several are duplicates."""
        return tuple(engine for engine in self.in_group(group) if engine.name == name)


def read_catalog() -> Catalog:
    """Read the metadata of all installed distributions, and again only after the path has changed."""
    return _read_catalog(tuple((folder, _modified_at(folder)) for folder in sys.path))


# A start needs the catalog nine times, and reading eighty distributions takes 7 ms of processor time.
@lru_cache(maxsize=8)
def _read_catalog(path: tuple[tuple[str, int], ...]) -> Catalog:
    _ = path  # the key
    installed = read_installed(lambda group: bool(match_group(group)))
    engines = (
        _candidate(point, distribution)
        for distribution in installed
        for point in distribution.entry_points
    )
    return Catalog(
        engines=tuple(
            sorted(engines, key=lambda engine: (engine.group, engine.name, engine.distribution))
        ),
        damaged=tuple(distribution.report for distribution in installed if distribution.damage),
    )


def _modified_at(folder: str) -> int:
    try:
        return Path(folder).stat().st_mtime_ns
    except OSError:
        return 0


def list_engines(group: str) -> tuple[Candidate, ...]:
    """List the engines of a group by name, and import none of them."""
    return read_catalog().in_group(group)


def list_damaged() -> tuple[Damaged, ...]:
    """List the installed distributions that cannot be read; an engine may be in one of them."""
    return read_catalog().damaged


@cache
def match_group(group: str) -> str:
    """Find the group of this host that a group is, or is similar to; otherwise empty."""
    plain = {_plain_words(known): known for known in GROUPS}
    similar = find_similar(_plain_words(group), plain)
    return plain.get(similar, "")


def _plain_words(group: str) -> str:
    """Return a group without its major version, in one spelling."""
    return re.sub(r"[-_.\s]+", ".", re.sub(r"\.v\d+$", "", group.lower()))


def _candidate(point: EntryPoint, distribution: Installed) -> Candidate:
    return Candidate(
        group=point.group,
        name=point.name,
        target=point.value,
        distribution=distribution.name,
        version=distribution.version,
        entry_point=point,
    )
