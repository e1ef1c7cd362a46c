"""Everything on one machine, for a first look and for development: `landlord-host dev`."""

from landlord_engines_core.dev.demo import Progress, Walk
from landlord_engines_core.dev.hints import hints
from landlord_engines_core.dev.stack import Chosen, Stack, free_port, run
from landlord_engines_core.dev.user import User

__all__ = ["Chosen", "Progress", "Stack", "User", "Walk", "free_port", "hints", "run"]
