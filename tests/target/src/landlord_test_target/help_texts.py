"""The rendered help of each command. ``python -m landlord_test_target.help_texts`` writes it to files."""

from pathlib import Path

import click
from click.testing import CliRunner

from landlord_engines_core.cli.commands import landlord_host

__all__ = ["COMMANDS", "file_of", "render_help"]

_FOLDER = Path(__file__).parents[3] / "data" / "help"
COMMANDS = ("", *sorted(landlord_host.commands))


def render_help(command: str) -> str:
    """Render the help of one command, or of the program itself."""
    arguments = [*command.split(), "--help"]
    result = CliRunner().invoke(
        landlord_host, arguments, prog_name="landlord-host", terminal_width=100
    )
    assert result.exit_code == 0, result.output
    return click.unstyle(result.output)


def file_of(command: str) -> Path:
    """Name the file that holds a command's help."""
    return _FOLDER / f"{command or 'landlord-host'}.txt"


if __name__ == "__main__":
    _FOLDER.mkdir(parents=True, exist_ok=True)
    for command in COMMANDS:
        file_of(command).write_text(render_help(command))
