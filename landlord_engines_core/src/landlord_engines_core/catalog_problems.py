"""The problems of an engine that its metadata shows, found without importing the engine."""

import re
import sys
from collections.abc import Iterable
from enum import StrEnum
from importlib.util import find_spec

import attrs

from landlord_engines_core.catalog import WORKER_ENGINES, Candidate, Catalog, match_group
from landlord_engines_core.declarations import CONTRACT, NAME

__all__ = ["Problem", "ProblemKind", "advise_choice", "advise_report", "find_problems"]

_TARGET = re.compile(r"(?P<package>\w+)[\w.]*:[\w.]+")


class ProblemKind(StrEnum):
    """Kind of a problem, for programs that read the list of engines."""

    DUPLICATE = "duplicate"
    """Several entry points of its group have its name."""
    OTHER_MAJOR = "other-major"
    """Its group is for another major version of the contract."""
    MISSPELT_GROUP = "misspelt-group"
    """Its group is similar to one that hosts read, and no host reads it."""
    ODD_NAME = "odd-name"
    BAD_TARGET = "bad-target"
    """Its target is no object in a module, or its package is not installed."""
    BROKEN = "broken"
    """It cannot be loaded, or does what only the host may do."""
    WRITES_OUTPUT = "writes-output"
    """It writes to standard output while it is imported."""


@attrs.frozen(kw_only=True)
class Problem:
    """Problem of an engine.

    Attributes:
        kind: The kind, for programs.
        text: What is wrong.
        hint: The next action.
    """

    kind: ProblemKind
    text: str
    hint: str

    def __str__(self) -> str:
        return f"{self.kind}: {self.text}; {self.hint}"


def find_problems(engine: Candidate, catalog: Catalog) -> tuple[Problem, ...]:
    """Find the problems that the metadata of one engine shows."""
    possible = (
        _check_group(engine, catalog),
        _check_duplicates(catalog.find_named(engine.group, engine.name)),
        _check_name(engine),
        _check_target(engine),
    )
    return tuple(problem for problem in possible if problem is not None)


def advise_choice(duplicates: Iterable[Candidate]) -> str:
    """Say how to get one of several engines of the same group and name."""
    names = list(dict.fromkeys(engine.full_name for engine in duplicates))
    if len(names) == 1:
        return advise_report(names[0].partition(":")[0])
    uninstall = "uninstall all but one of them"
    if any(engine.group != WORKER_ENGINES for engine in duplicates):
        return uninstall
    return f"use --engine {' or --engine '.join(names)}, or {uninstall}"


def _check_group(engine: Candidate, catalog: Catalog) -> Problem | None:
    group = match_group(engine.group)
    if engine.group == group:
        return None
    major = engine.group.removeprefix(f"{group}.v")
    if not major.isdecimal() or int(major) == CONTRACT:
        return Problem(
            kind=ProblemKind.MISSPELT_GROUP,
            text=f"no host reads the group {engine.group}; hosts read {group}",
            hint=advise_report(engine.distribution),
        )
    if any(other.is_from(engine.distribution) for other in catalog.find_named(group, engine.name)):
        # The distribution has this engine for both versions.
        return None
    return Problem(
        kind=ProblemKind.OTHER_MAJOR,
        text=f"this host implements version {CONTRACT} of the contract",
        hint=f"upgrade landlord-engines-core, or install another version of {engine.distribution}",
    )


def _check_duplicates(named: tuple[Candidate, ...]) -> Problem | None:
    if len(named) == 1:
        return None
    origins = ", ".join(f"{candidate.distribution} {candidate.version}" for candidate in named)
    return Problem(
        kind=ProblemKind.DUPLICATE,
        text=f"several entry points have this name ({origins})",
        hint=advise_choice(named),
    )


def _check_name(engine: Candidate) -> Problem | None:
    if NAME.fullmatch(engine.name):
        return None
    return Problem(
        kind=ProblemKind.ODD_NAME,
        text=f"{engine.name!r} does not match {NAME.pattern}",
        hint=advise_report(engine.distribution),
    )


def _check_target(engine: Candidate) -> Problem | None:
    target = _TARGET.fullmatch(engine.target)
    if target is None:
        text, hint = "its target is not module:object", advise_report(engine.distribution)
    elif not _is_installed(target["package"]):
        text = f"its package {target['package']} is not installed"
        hint = f"reinstall {engine.distribution}"
    else:
        return None
    return Problem(kind=ProblemKind.BAD_TARGET, text=text, hint=hint)


def _is_installed(package: str) -> bool:
    """Return whether a top-level package can be found, without an import of it."""
    # A loaded module such as __main__ may have no spec, and find_spec raises for it.
    return package in sys.modules or find_spec(package) is not None


def advise_report(distribution: str) -> str:
    """Name the authors as those who have to change something."""
    return f"report it to the authors of {distribution}"
