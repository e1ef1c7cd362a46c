"""Calls of a compute engine, in a process of their own."""

import asyncio
from collections.abc import Awaitable, Callable, Mapping
from pathlib import Path
from time import monotonic
from typing import Any

import attrs

from landlord_engines_core.compute import (
    ComputeContext,
    ComputeEngine,
    ComputeEngineFactory,
    ComputeSpec,
    Observation,
    ResourceState,
)
from landlord_engines_core.conformance.lines import Lines
from landlord_engines_core.conformance.story import CannotRun
from landlord_engines_core.errors import ComputeRefused, ComputeUnavailable, PluginError
from landlord_engines_core.models import config_hash, key_hashes
from landlord_engines_core.plugins import load_compute_engine
from landlord_engines_core.settings import Sources, check_section

__all__ = ["Act", "Acts", "Done", "create_engine", "make_spec", "perform"]

LONGEST = 20.0
"""Seconds for which a call is tried again, and for which a resource may take to become healthy."""

_PAUSE = 0.05


@attrs.frozen(kw_only=True)
class Act:
    """One call: ``provision``, ``update``, ``destroy`` or ``inspect``.

    ``healthy`` inspects until the resource is healthy. ``try_destroy`` returns ``None`` for a busy target.
    """

    method: str
    tenant: str
    config: Mapping[str, object] = attrs.field(repr=False)


@attrs.frozen(kw_only=True)
class Acts:
    """Calls of one process.

    Attributes:
        section: The section ``compute.<name>``.
        at_once: Whether all calls run at the same time.
        begun: A file that is created right before the first call.
    """

    engine: str
    section: Mapping[str, object] = attrs.field(repr=False)
    acts: tuple[Act, ...]
    at_once: bool = False
    begun: Path | None = None


@attrs.frozen(kw_only=True)
class Done:
    """Results of the calls, with all texts that the engine showed.

    Attributes:
        results: The results in the order of the calls; a text for a refusal.
        texts: The log lines and representations.
    """

    results: tuple[Any, ...]
    texts: tuple[str, ...]


@attrs.frozen
class _Nothing:
    """The section of no worker engine."""


def create_engine(
    factory: ComputeEngineFactory, section: Mapping[str, object], lines: Lines
) -> ComputeEngine:
    """Create an engine from its section, as the host does.

    Raises:
        SettingsError: A setting is wrong.
        ComputeRefused: The engine refuses its section.
    """
    sources = Sources(
        document={"compute": {factory.info.name: dict(section)}},
        file="the suite's settings",
        environment={},
        flags={},
        compute_type=lambda _: factory.settings_type,
    )
    read = sources.load("conformance", _Nothing).settings.compute[factory.info.name]
    check_section(read.settings)
    context = ComputeContext(settings=read.settings, defaults=read.defaults, logger=lines)
    return factory.create_engine(context)


def make_spec(engine: ComputeEngine, act: Act) -> ComputeSpec:
    """Make the spec that the lifecycle would send."""
    return ComputeSpec(
        tenant=act.tenant,
        name=f"name of {act.tenant}",
        location=engine.location(act.config),
        config=act.config,
        config_hash=config_hash(act.config),
        key_hashes=key_hashes(act.config),
    )


def perform(acts: Acts) -> Done:
    """Perform all calls with a new engine."""
    try:
        _, factory = load_compute_engine(acts.engine)
    except PluginError as error:
        raise CannotRun(f"the engine cannot be loaded: {error}") from None
    return asyncio.run(_perform(factory, acts))


async def _perform(factory: ComputeEngineFactory, acts: Acts) -> Done:
    lines = Lines()
    engine = create_engine(factory, acts.section, lines)
    if acts.begun is not None:
        acts.begun.touch()
    calls = [_call(engine, act) for act in acts.acts]
    if acts.at_once:
        results = await asyncio.gather(*calls)
    else:
        results = [await call for call in calls]
    await engine.aclose()
    texts = (repr(engine), *map(repr, results))
    return Done(results=tuple(results), texts=(*texts, *lines.texts))


async def _call(engine: ComputeEngine, act: Act) -> Any:
    spec = make_spec(engine, act)
    try:
        if act.method == "healthy":
            return await _wait_healthy(engine, spec)
        if act.method == "try_destroy":
            return await _try_destroy(engine, spec)
        if act.method in ("provision", "update"):
            method = getattr(engine, act.method)
            return await _insist(lambda: method(spec))
        method = getattr(engine, act.method)
        return await _insist(lambda: method(spec.tenant, spec.location))
    except ComputeRefused as error:
        return f"refused: {error}"


async def _wait_healthy(engine: ComputeEngine, spec: ComputeSpec) -> Observation:
    until = monotonic() + LONGEST
    while True:
        observed = await engine.inspect(spec.tenant, spec.location)
        if observed.state is ResourceState.HEALTHY or monotonic() > until:
            return observed
        await asyncio.sleep(_PAUSE)


async def _try_destroy(engine: ComputeEngine, spec: ComputeSpec) -> bool | None:
    try:
        return await engine.destroy(spec.tenant, spec.location)
    except ComputeUnavailable:
        return None


async def _insist(call: Callable[[], Awaitable[Any]]) -> Any:
    """Repeat a call until the target is not busy, as the lifecycle does."""
    until = monotonic() + LONGEST
    while True:
        try:
            return await call()
        except ComputeUnavailable:
            if monotonic() > until:
                raise
        await asyncio.sleep(_PAUSE)
