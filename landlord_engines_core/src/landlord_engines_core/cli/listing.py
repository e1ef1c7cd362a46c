"""The command engines: what is installed, and what is wrong with it."""

import json
from collections.abc import Mapping

import attrs
import click

from landlord_engines_core.catalog import Candidate, Catalog, read_catalog
from landlord_engines_core.catalog_problems import Problem, find_problems

__all__ = ["list_installed", "print_damaged"]


def list_installed(*, as_json: bool) -> None:
    """Print the installed engines, by group, with their problems."""
    catalog = read_catalog()
    if as_json:
        click.echo(json.dumps(_describe(catalog), indent=2))
        return
    for group in catalog.groups:
        click.echo(f"{group}:")
        for engine in catalog.in_group(group):
            _print_engine(engine, find_problems(engine, catalog))
    print_damaged(catalog)


def print_damaged(catalog: Catalog) -> None:
    """Name the distributions that cannot be read; a missing engine may be in one of them."""
    for distribution in catalog.damaged:
        click.echo(f"cannot be read, reinstall it: {distribution}", err=True)


def _print_engine(engine: Candidate, problems: tuple[Problem, ...]) -> None:
    click.echo(f"  {engine.name:<16} {engine.distribution} {engine.version}  {engine.target}")
    for problem in problems:
        click.echo(f"    {problem}")


def _describe(catalog: Catalog) -> Mapping[str, object]:
    """Describe the catalog as docs/operating/install.md lists its fields."""
    return {
        "engines": [
            {
                "group": engine.group,
                "name": engine.name,
                "distribution": engine.distribution,
                "version": engine.version,
                "target": engine.target,
                "problems": list(map(attrs.asdict, find_problems(engine, catalog))),
            }
            for engine in catalog.engines
        ],
        "damaged": list(map(attrs.asdict, catalog.damaged)),
    }
