"""Modules that the server of forked processes imports once, so that a process starts in milliseconds."""

from landlord_engines_core import host
from landlord_engines_core.conformance import hermetic, static
from landlord_engines_core.conformance.compute import calls
from landlord_engines_core.conformance.live import worker

__all__ = ["calls", "hermetic", "host", "static", "worker"]
