"""Checks of what the factory of any engine declares, worker engine or compute engine."""

import inspect
import re
from collections.abc import Callable, Iterable, Iterator
from typing import Any, get_type_hints

import attrs

__all__ = [
    "CONTRACT",
    "NAME",
    "accepts",
    "check_create_engine",
    "check_identity",
    "check_settings",
    "describe",
]

CONTRACT = 1
"""The major version of the contract of worker engines that this host implements."""

NAME = re.compile(r"[a-z][a-z0-9-]*")
"""Names of engines. They are parts of settings and variables, which allow no other letters."""


def check_identity(name: str, info: Any, contract: int) -> Iterator[str]:
    """List what is wrong with an engine's name and version.

    Args:
        name: The name of its entry point.
        info: The engine's description, with its name and the version of the contract.
        contract: The version of the contract that this host implements.
    """
    if info.contract != contract:
        yield (
            f"it is for version {info.contract} of the contract, and this host implements"
            f" version {contract}"
        )
    if info.name != name:
        yield f"its info has the name {info.name!r}, and its entry point {name!r}"
    if not NAME.fullmatch(name):
        yield f"the name {name!r} does not match {NAME.pattern}"


def check_settings(settings_type: Any) -> Iterator[str]:
    """List what is wrong with the class of an engine's settings."""
    if not (isinstance(settings_type, type) and attrs.has(settings_type)):
        yield f"its settings_type is {describe(settings_type)}, and not an attrs class"
        return
    try:
        get_type_hints(settings_type)
    except (NameError, TypeError, SyntaxError) as error:
        yield f"a type in {settings_type.__name__} cannot be resolved: {error}"
        return
    for field in attrs.fields(settings_type):
        if field.type is None:
            yield f"{settings_type.__name__}.{field.name} has no type"
        if field.alias != field.name or not field.init:
            yield f"{settings_type.__name__}.{field.name} is private, and no setting can be"


def check_create_engine(
    create_engine: Any, base: type, check_class: Callable[[type], Iterable[str]]
) -> Iterator[str]:
    """List what is wrong with the function that creates an engine.

    Args:
        create_engine: The function.
        base: The class of all such engines.
        check_class: Lists what is wrong with the class that the function creates, if its annotation
            names one other than ``base``.
    """
    if not callable(create_engine):
        yield f"its create_engine is {describe(create_engine)}, and not callable"
    elif not accepts(create_engine, 1):
        yield "its create_engine does not take one argument, the context"
    elif (kind := _find_created_class(create_engine)) is not None and kind is not base:
        yield from check_class(kind)


def _find_created_class(create_engine: Any) -> type | None:
    if isinstance(create_engine, type):
        return create_engine
    try:
        kind = get_type_hints(create_engine).get("return")
    except (NameError, TypeError):
        # The engine itself is checked when it is created.
        return None
    return kind if isinstance(kind, type) else None


def accepts(function: Any, count: int) -> bool:
    """Return whether a function can be called with so many positional arguments."""
    try:
        inspect.signature(function).bind(*range(count))
    except ValueError:
        # A function in C may have no signature that can be read.
        return True
    except TypeError:
        return False
    return True


def describe(value: object) -> str:
    """Name the type of a value that should have another one."""
    return (
        f"the class {value.__name__}"
        if isinstance(value, type)
        else f"an object of type {type(value).__name__}"
    )
