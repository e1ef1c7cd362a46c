"""Landlord's worker side: the contracts of engines, the tenant lifecycle and the host."""

__version__ = "0.1.0"
