"""The command ``new-engine``, which writes a distribution and prints the next steps."""

from pathlib import Path

import click

from landlord_engines_core.scaffold import Scaffold, render

__all__ = ["write_distribution"]

_LEFT = """
It loads, and refuses its work until you write it. README.md in it lists what is left. Next:

  cd {folder}
  pip install -e '.[test]'
  landlord-host conformance {name}{option}
"""


def write_distribution(kind: str, name: str) -> None:
    """Write a new distribution into the working folder, and print the next steps."""
    folder = render(Scaffold(kind=kind, name=name), Path())
    for file in sorted(path for path in folder.rglob("*") if path.is_file()):
        click.echo(str(file))
    option = " --compute" if kind == "compute" else ""
    click.echo(_LEFT.format(folder=folder, name=name, option=option), nl=False)
