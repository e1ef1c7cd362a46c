"""Modules that the server of forked processes imports once, so that a process starts in milliseconds."""

from landlord_engines_core import host
from landlord_engines_core.conformance import hermetic, static

__all__ = ["hermetic", "host", "static"]
