"""The command engines, which lists the installed engines and their problems."""

import json
import os
from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor

import attrs
import click

from landlord_engines_core.catalog import Candidate, Catalog, read_catalog
from landlord_engines_core.catalog_problems import (
    Problem,
    ProblemKind,
    advise_report,
    find_problems,
)
from landlord_engines_core.trial.result import Description, Trial

__all__ = ["list_installed", "print_damaged"]

_LONGEST_OUTPUT = 200
"""Characters of an engine's output in a problem's text."""


@attrs.frozen(kw_only=True)
class _Entry:
    """One engine of the list.

    Attributes:
        engine: The engine.
        problems: What is wrong with it.
        description: What it declares, if it was asked and could answer.
    """

    engine: Candidate
    problems: tuple[Problem, ...]
    description: Description | None = None


def list_installed(*, wide: bool, as_json: bool) -> None:
    """Print the installed engines, by group, with their problems."""
    catalog = read_catalog()
    entries = [
        _Entry(engine=engine, problems=find_problems(engine, catalog)) for engine in catalog.engines
    ]
    if wide:
        # Threads, since each waits for a process of its own.
        with ThreadPoolExecutor(os.cpu_count()) as pool:
            entries = list(pool.map(_ask, entries))
    if as_json:
        click.echo(json.dumps(_describe(catalog, entries, wide=wide), indent=2))
        return
    for group in catalog.groups:
        click.echo(f"{group}:")
        for entry in entries:
            if entry.engine.group == group:
                _print_entry(entry)
    print_damaged(catalog)


def print_damaged(catalog: Catalog) -> None:
    """Name the distributions that cannot be read; a missing engine may be in one of them."""
    for distribution in catalog.damaged:
        click.echo(f"cannot be read, reinstall it: {distribution}", err=True)


def _ask(entry: _Entry) -> _Entry:
    """Ask an engine what it declares, unless no host would load it."""
    if any(problem.kind is not ProblemKind.DUPLICATE for problem in entry.problems):
        return entry
    # Imported here, because the import is slow and only --wide needs it.
    from landlord_engines_core.trial.describe import describe_engine  # noqa: PLC0415  # as above

    trial = describe_engine(entry.engine)
    problems = (*entry.problems, *_read_problems(trial, entry.engine.distribution))
    return attrs.evolve(entry, problems=problems, description=trial.description)


def _read_problems(trial: Trial, distribution: str) -> list[Problem]:
    problems = [
        Problem(
            kind=ProblemKind.BROKEN,
            text=f"{failure.code}: {failure.message}",
            hint=failure.hint or advise_report(distribution),
        )
        for failure in trial.failures
    ]
    if trial.output:
        problems.append(
            Problem(
                kind=ProblemKind.WRITES_OUTPUT,
                text=f"it writes to standard output: {trial.output[:_LONGEST_OUTPUT]!r}",
                hint=advise_report(distribution),
            )
        )
    return problems


def _print_entry(entry: _Entry) -> None:
    engine = entry.engine
    click.echo(f"  {engine.name:<16} {engine.distribution} {engine.version}  {engine.target}")
    if entry.description is not None:
        declared = entry.description.capabilities.items()
        capabilities = ", ".join(f"{name} {support}" for name, support in declared)
        click.echo(f"    contract {entry.description.contract}; {capabilities}".rstrip("; "))
    for problem in entry.problems:
        click.echo(f"    {problem}")


def _describe(catalog: Catalog, entries: list[_Entry], *, wide: bool) -> Mapping[str, object]:
    """Describe the list as docs/operating/commands.md names its fields."""
    return {
        "engines": [_describe_entry(entry, wide=wide) for entry in entries],
        "damaged": list(map(attrs.asdict, catalog.damaged)),
    }


def _describe_entry(entry: _Entry, *, wide: bool) -> Mapping[str, object]:
    engine, declared = entry.engine, entry.description
    return {
        "group": engine.group,
        "name": engine.name,
        "distribution": engine.distribution,
        "version": engine.version,
        "target": engine.target,
        "problems": list(map(attrs.asdict, entry.problems)),
        **({"declares": declared and attrs.asdict(declared)} if wide else {}),
    }
