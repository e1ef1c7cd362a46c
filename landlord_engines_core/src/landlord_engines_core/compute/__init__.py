"""Compute engines: the contract, the registry of those in use, and the built-in ones."""

from landlord_engines_core.compute.contract import (
    ComputeEngine,
    ComputeFactory,
    ComputeResult,
    ComputeSpec,
    Observation,
    ResourceState,
)
from landlord_engines_core.compute.registry import ComputeRegistry

__all__ = [
    "ComputeEngine",
    "ComputeFactory",
    "ComputeRegistry",
    "ComputeResult",
    "ComputeSpec",
    "Observation",
    "ResourceState",
]
