"""Checks of the factory of a worker engine, before settings are read or a backend is reached."""

from collections.abc import Iterator, Mapping
from functools import partial
from typing import Any

from landlord_engines_core.declarations import (
    CONTRACT,
    accepts,
    check_create_engine,
    check_identity,
    check_settings,
    describe,
)
from landlord_engines_core.engine.contract import (
    Capability,
    EngineFactory,
    EngineInfo,
    Support,
    WorkerEngine,
)

__all__ = ["find_class_problems", "find_factory_problems"]

_METHODS = (
    (Capability.DRY_RUN, "dry_run_registration"),
    (Capability.WATCH, "watch_registration"),
    (Capability.MAKE_LATEST, "make_latest"),
    (Capability.MOVE, "move"),
    (Capability.RECORDS, "list_tenants"),
    (Capability.RECORDS, "read_tenant"),
    (Capability.RETRY, "retry_job"),
)
"""The optional methods, each with the capability for which the host calls it."""


def find_factory_problems(name: str, factory: EngineFactory) -> tuple[str, ...]:
    """List all that is wrong with a factory.

    Args:
        name: The name of the entry point that leads to it.
        factory: The factory; it may have attributes of any type.

    Returns:
        A line for each problem, to follow the name of the engine.
    """
    info: Any = factory.info
    if not isinstance(info, EngineInfo):
        return (f"its info is {describe(info)}, and not an EngineInfo",)
    capabilities: Any = info.capabilities
    if not isinstance(capabilities, Mapping):
        return (f"its capabilities are {describe(capabilities)}, and not a mapping",)
    return (
        *check_identity(name, info, CONTRACT),
        *_check_capabilities(capabilities),
        *check_settings(factory.settings_type),
        *check_create_engine(
            factory.create_engine, WorkerEngine, partial(find_class_problems, info)
        ),
        *_check_backends(factory.local_backend, factory.other_local_backends),
    )


def find_class_problems(info: EngineInfo, kind: type) -> tuple[str, ...]:
    """List the methods that the class of an engine lacks, although its factory declares them."""
    if not issubclass(kind, WorkerEngine):
        return (f"it creates an object of type {kind.__name__}, and not a WorkerEngine",)
    missing = [f"{kind.__name__} lacks {method}" for method in sorted(kind.__abstractmethods__)]
    missing += [
        f"it declares {capability} in full, and {kind.__name__} does not override {method}"
        for capability, method in _METHODS
        if info.supports(capability) and getattr(kind, method) is getattr(WorkerEngine, method)
    ]
    return tuple(missing)


def _check_capabilities(capabilities: Mapping[Any, Any]) -> Iterator[str]:
    for capability, support in capabilities.items():
        if not isinstance(capability, Capability) or not isinstance(support, Support):
            yield f"its capabilities map {capability!r} to {support!r}, and not a Capability to a Support"
    if Capability.TENANT_LOCK not in capabilities:
        yield (
            f"it does not say whether it supports {Capability.TENANT_LOCK},"
            " without which no worker serves"
        )


def _check_backends(default: object, others: object) -> Iterator[str]:
    if not isinstance(others, Mapping):
        yield f"its other_local_backends are {describe(others)}, and not a mapping"
        others = {}
    for name, start in {"local_backend": default, **others}.items():
        if start is not None and not (callable(start) and accepts(start, 2)):
            yield f"the local backend {name!r} does not take two arguments, settings and folder"
