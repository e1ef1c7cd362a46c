"""``landlord-host dev``: everything on one machine, for first steps and development."""

from landlord_engines_core.dev.demo import Demo, Progress
from landlord_engines_core.dev.hints import hints
from landlord_engines_core.dev.stack import EngineSelection, Stack, find_free_port, run
from landlord_engines_core.dev.user import User

__all__ = ["Demo", "EngineSelection", "Progress", "Stack", "User", "find_free_port", "hints", "run"]
