"""``landlord-host``: the command line, and the one place where errors become text and exit codes."""

from landlord_engines_core.cli.commands import main

__all__ = ["main"]
