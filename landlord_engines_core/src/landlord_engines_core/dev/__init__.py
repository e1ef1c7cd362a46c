"""Everything on one machine, for a first look and for development: `landlord-host dev`."""

from landlord_engines_core.dev.demo import Demo, Progress
from landlord_engines_core.dev.hints import hints
from landlord_engines_core.dev.stack import EngineSelection, Stack, free_port, run
from landlord_engines_core.dev.user import User

__all__ = ["Demo", "EngineSelection", "Progress", "Stack", "User", "free_port", "hints", "run"]
