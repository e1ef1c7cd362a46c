"""What the server of forked processes imports once, so that a process starts in milliseconds."""

from landlord_engines_core import cli, plugins
from landlord_engines_core.conformance import hermetic, static

__all__ = ["cli", "hermetic", "plugins", "static"]
