"""Writes the help of each command into a document.

    python -m landlord_test_target.help_page docs/operating/commands.md

The texts stand between two markers. A test compares them with those of the command.
"""

import os
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

BEGIN, END = "<!-- help: begin -->\n", "<!-- help: end -->\n"


def written(document: str) -> str:
    """Replace the help texts of a document by those of today."""
    before, _, rest = document.partition(BEGIN)
    _, _, after = rest.partition(END)
    return f"{before}{BEGIN}{''.join(_sections())}{END}{after}"


def _sections() -> Iterator[str]:
    main = _help()
    _, _, listed = main.partition("\nCommands:\n")
    for command in ("", *re.findall(r"^  (\w+)  ", listed, re.MULTILINE)):
        name = f"landlord-host {command}".strip()
        yield f"## {name}\n\n```\n{_help(command) if command else main}```\n\n"


def _help(*command: str) -> str:
    host = Path(sys.executable).with_name("landlord-host")
    # The width decides where lines break.
    environment = {**os.environ, "COLUMNS": "80"}
    return subprocess.run(
        [host, *command, "--help"], env=environment, check=True, capture_output=True, text=True
    ).stdout


if __name__ == "__main__":
    path = Path(sys.argv[1])
    path.write_text(written(path.read_text(encoding="utf-8")), encoding="utf-8")
