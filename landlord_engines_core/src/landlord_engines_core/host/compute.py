"""Making the compute engines that the settings name."""

import json
from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import AbstractContextManager, contextmanager
from functools import partial

import attrs

from landlord_engines_core.catalog import Candidate
from landlord_engines_core.compute import (
    ComputeContext,
    ComputeEngine,
    ComputeEngineFactory,
    ComputeLimits,
    ComputeRegistry,
)
from landlord_engines_core.compute.declaration import find_engine_problems
from landlord_engines_core.compute.registry import find_schema_problems
from landlord_engines_core.compute.unknown_keys import lists_every_key, properties_of
from landlord_engines_core.errors import (
    ComputeError,
    PluginInvalid,
    PluginSettingsRefused,
)
from landlord_engines_core.logs import Logger
from landlord_engines_core.metrics import Metrics
from landlord_engines_core.plugin_calls import ErrorBoundary
from landlord_engines_core.plugins import load_compute_engine
from landlord_engines_core.settings import Settings, check_section, report_unknown
from landlord_engines_core.threads import leave_signals
from landlord_engines_core.tracing import trace_span

__all__ = ["build_registry", "create_engine"]


def build_registry(settings: Settings, logger: Logger, metrics: Metrics) -> ComputeRegistry:
    """Make the worker's compute engines.

    Args:
        settings: All settings.
        logger: The logger of the engines.
        metrics: Times the engines' requests.

    Raises:
        PluginError: An engine cannot be loaded, or refuses its settings or the tenants' defaults.
        SettingsError: An engine's settings do not fit together.
    """
    worker = settings.worker
    threads = {
        # Its threads start with its first blocking call.
        name: ThreadPoolExecutor(
            worker.max_concurrent_jobs, f"compute-{name}", initializer=leave_signals
        )
        for name in settings.compute
    }
    engines = {}
    for name, section in settings.compute.items():
        candidate, factory = load_compute_engine(name)
        context = ComputeContext(
            settings=section.settings,
            defaults=section.defaults,
            logger=logger,
            limits=ComputeLimits(step_timeout=worker.step_timeout),
            time_request=partial(_time_request, name, metrics.engines.request_timer(name)),
            threads=threads[name],
        )
        engines[name] = create_engine(candidate, factory, context)
    observe = partial(metrics.engines.time_call, "compute engine")
    registry = ComputeRegistry(engines, tuple(threads.values()), observe)
    for name in registry:
        _check_defaults(registry, name, worker.max_config_bytes)
    return registry


@contextmanager
def _time_request(
    engine: str, timer: Callable[[str], AbstractContextManager[None]], request: str
) -> Iterator[None]:
    """Count a request of a compute engine, and record a span for it."""
    attributes = {"landlord.compute_engine": engine}
    with trace_span(f"{engine}: {request}", attributes, is_request=True), timer(request):
        yield


def create_engine(
    candidate: Candidate, factory: ComputeEngineFactory, context: ComputeContext
) -> ComputeEngine:
    """Have a factory create its engine, and check the keys of the engine's section.

    Raises:
        PluginError: The engine cannot be created, or refuses its section.
        SettingsError: The engine's settings do not fit together.
    """
    boundary = _build_boundary(str(candidate))
    try:
        with boundary.call("check"):
            check_section(context.settings)
        with boundary.call("create_engine"):
            engine = factory.create_engine(context)
    except ComputeError as error:
        raise PluginSettingsRefused(
            f"compute engine {candidate} refuses its settings: {error.message}",
            hint=f"correct compute.{candidate.name}",
        ) from error
    if problems := find_engine_problems(engine):
        raise _invalid(candidate, problems)
    with boundary.call("config_schema"):
        schema = engine.config_schema()
    problems = find_schema_problems(schema) or _find_ambiguous(factory.settings_type, schema)
    if problems:
        raise _invalid(candidate, problems)
    _refuse_unknown(candidate, factory.settings_type, schema, context.defaults)
    return engine


def _build_boundary(engine: str) -> ErrorBoundary:
    return ErrorBoundary(engine=f"compute engine {engine}", failure=PluginSettingsRefused)


def _invalid(candidate: Candidate, problems: tuple[str, ...]) -> PluginInvalid:
    return PluginInvalid(
        f"compute engine {candidate} is not valid: {'; '.join(problems)}",
        hint=f"update {candidate.distribution}, or report it to its authors",
    )


def _find_ambiguous(settings_type: type, schema: Mapping[str, object]) -> tuple[str, ...]:
    """List the keys of the section that would have two meanings."""
    return tuple(
        f"{key} is both a setting and a key of tenants' configurations"
        for key in attrs.fields_dict(settings_type)
        if key in properties_of(schema)
    )


def _refuse_unknown(
    candidate: Candidate,
    settings_type: type,
    schema: Mapping[str, object],
    defaults: Mapping[str, object],
) -> None:
    """Refuse a key that is neither a setting nor a key of tenants' configurations."""
    known = {*attrs.fields_dict(settings_type), *properties_of(schema)}
    prefix, only_near = f"compute.{candidate.name}.", not lists_every_key(schema)
    if problems := list(report_unknown(defaults, prefix, known, only_near=only_near)):
        raise PluginSettingsRefused(
            f"compute engine {candidate} refuses its settings: {'; '.join(problems)}",
            hint=f"known keys: {', '.join(sorted(known))}",
        )


def _check_defaults(registry: ComputeRegistry, name: str, max_config_bytes: int) -> None:
    """Refuse bad defaults at the start: otherwise every tenant's job would be held."""
    hint = f"correct compute.{name}"
    try:
        registry.check_defaults(name)
        size = len(json.dumps(registry.engine(name).config_defaults()))
    except ComputeError as error:
        raise PluginSettingsRefused(
            f"the defaults of compute engine {name} are refused: {error.message}", hint=hint
        ) from error
    if size > max_config_bytes:
        raise PluginSettingsRefused(
            f"the defaults of compute engine {name} have {size} bytes, and a whole configuration"
            f" may have {max_config_bytes}",
            hint=f"{hint}, or raise worker.max_config_bytes",
        )
