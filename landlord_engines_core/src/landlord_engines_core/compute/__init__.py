"""Compute engines: the contract, the registry of those in use, and the built-in ones."""

from landlord_engines_core.compute.contract import (
    ComputeEngine,
    ComputeResult,
    ComputeSpec,
    Observation,
    ResourceState,
)
from landlord_engines_core.compute.factory import (
    COMPUTE_CONTRACT,
    ComputeContext,
    ComputeEngineFactory,
    ComputeEngineInfo,
    ComputeLimits,
)
from landlord_engines_core.compute.in_flight import (
    InFlightRequests,
    begin_observation,
    send,
    switch,
)
from landlord_engines_core.compute.registry import ComputeRegistry

__all__ = [
    "COMPUTE_CONTRACT",
    "ComputeContext",
    "ComputeEngine",
    "ComputeEngineFactory",
    "ComputeEngineInfo",
    "ComputeLimits",
    "ComputeRegistry",
    "ComputeResult",
    "ComputeSpec",
    "InFlightRequests",
    "Observation",
    "ResourceState",
    "begin_observation",
    "send",
    "switch",
]
