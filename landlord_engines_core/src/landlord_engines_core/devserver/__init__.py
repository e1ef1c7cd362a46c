"""Landlord in memory, for development and tests: tenant API and controller over any Dispatcher.

It behaves as Landlord 98ffef1 was observed to behave, mistakes included. Nothing outlives the process.
"""

from landlord_engines_core.devserver.controller import Intervals
from landlord_engines_core.devserver.landlord import LandlordInMemory, landlord_in_memory

__all__ = ["Intervals", "LandlordInMemory", "landlord_in_memory"]
