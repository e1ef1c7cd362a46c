"""Checks of the factory of a compute engine, without its settings and without a target."""

from collections.abc import Iterator
from typing import Any, get_type_hints

from landlord_engines_core.compute.contract import ComputeEngine
from landlord_engines_core.compute.factory import (
    COMPUTE_CONTRACT,
    ComputeEngineFactory,
    ComputeEngineInfo,
)
from landlord_engines_core.declarations import accepts, check_identity, check_settings, describe

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
        *_check_create_engine(factory.create_engine),
    )


def find_engine_problems(engine: object) -> tuple[str, ...]:
    """List what is wrong with an object that a factory has created."""
    if not isinstance(engine, ComputeEngine):
        return (f"it creates {describe(engine)}, and not a ComputeEngine",)
    return ()


def _check_create_engine(create_engine: Any) -> Iterator[str]:
    if not callable(create_engine):
        yield f"its create_engine is {describe(create_engine)}, and not callable"
        return
    if not accepts(create_engine, 1):
        yield "its create_engine does not take one argument, the context"
        return
    kind = _find_engine_class(create_engine)
    if kind is not None and not issubclass(kind, ComputeEngine):
        yield f"it creates an object of type {kind.__name__}, and not a ComputeEngine"
    elif kind is not None and kind is not ComputeEngine:
        for method in sorted(kind.__abstractmethods__):
            yield f"{kind.__name__} lacks {method}"


def _find_engine_class(create_engine: Any) -> type | None:
    """Find the class that a function creates, if its annotation names one."""
    if isinstance(create_engine, type):
        return create_engine
    try:
        kind = get_type_hints(create_engine).get("return")
    except (NameError, TypeError):
        # The engine itself is checked when it is created.
        return None
    return kind if isinstance(kind, type) else None
