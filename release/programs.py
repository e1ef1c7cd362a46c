"""Running the programs that build and check a release."""

import subprocess
from collections.abc import Container
from pathlib import Path

__all__ = ["ReleaseFailed", "run"]


class ReleaseFailed(Exception):
    """A step of the release failed. The text says which one, and why."""


def run(*command: str, folder: Path | None = None, codes: Container[int] = (0,)) -> str:
    """Run a program to its end, and return its standard output.

    Args:
        command: The program and its arguments.
        folder: The folder in which it runs, if not the current one.
        codes: The exit codes of success.

    Raises:
        ReleaseFailed: It ended with another code.
    """
    done = subprocess.run(command, cwd=folder, capture_output=True, text=True, check=False)
    if done.returncode not in codes:
        output = f"{done.stdout}{done.stderr}".strip()
        raise ReleaseFailed(f"{' '.join(command)} ended with {done.returncode}:\n{output}")
    return done.stdout
