"""Landlord in memory: its tenant API and its controller, driving any worker engine's Dispatcher.

For development and tests. It behaves as Landlord 98ffef1 was observed to, its mistakes included,
and keeps nothing.
"""

from landlord_engines_core.devserver.controller import Intervals
from landlord_engines_core.devserver.landlord import LandlordInMemory, landlord_in_memory

__all__ = ["Intervals", "LandlordInMemory", "landlord_in_memory"]
