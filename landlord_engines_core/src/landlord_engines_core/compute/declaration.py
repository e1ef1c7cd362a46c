"""Checks of the factory of a compute engine, without its settings and without a target."""

from collections.abc import Iterator
from typing import Any

from landlord_engines_core.compute.contract import ComputeEngine
from landlord_engines_core.compute.factory import (
    COMPUTE_CONTRACT,
    ComputeEngineFactory,
    ComputeEngineInfo,
)
from landlord_engines_core.declarations import (
    check_create_engine,
    check_identity,
    check_settings,
    describe,
)

__all__ = ["find_compute_problems", "find_engine_problems"]


def find_compute_problems(name: str, factory: ComputeEngineFactory) -> tuple[str, ...]:
    """List all that is wrong with a factory.

    Args:
        name: The name of the entry point that leads to it.
        factory: The factory; it may have attributes of any type.

    Returns:
        A line for each problem, to follow the name of the engine.
    """
    info: Any = factory.info
    if not isinstance(info, ComputeEngineInfo):
        return (f"its info is {describe(info)}, and not a ComputeEngineInfo",)
    return (
        *check_identity(name, info, COMPUTE_CONTRACT),
        *check_settings(factory.settings_type),
        *check_create_engine(factory.create_engine, ComputeEngine, _check_class),
    )


def find_engine_problems(engine: object) -> tuple[str, ...]:
    """List what is wrong with an object that a factory has created."""
    if not isinstance(engine, ComputeEngine):
        return (f"it creates {describe(engine)}, and not a ComputeEngine",)
    return ()


def _check_class(kind: type) -> Iterator[str]:
    if not issubclass(kind, ComputeEngine):
        yield f"it creates an object of type {kind.__name__}, and not a ComputeEngine"
        return
    for method in sorted(kind.__abstractmethods__):
        yield f"{kind.__name__} lacks {method}"
