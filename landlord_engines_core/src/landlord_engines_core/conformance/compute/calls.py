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

__all__ = ["Call", "CallBatch", "CallResults", "create_engine", "make_spec", "run_calls"]

LONGEST_RETRY = 20.0
"""Seconds for which a call is tried again, and for which a resource may take to become healthy."""

_PAUSE = 0.05


@attrs.frozen(kw_only=True)
class Call:
    """One call: ``provision``, ``update``, ``destroy`` or ``inspect``.

    ``healthy`` inspects until the resource is healthy. ``try_destroy`` returns ``None`` for a busy target.
    """

    method: str
    tenant: str
    config: Mapping[str, object] = attrs.field(repr=False)


@attrs.frozen(kw_only=True)
class CallBatch:
    """Calls of one process.

    Attributes:
        section: The section ``compute.<name>``.
        at_once: Whether all calls run at the same time.
        start_file: A file that is created right before the first call.
    """

    engine: str
    section: Mapping[str, object] = attrs.field(repr=False)
    calls: tuple[Call, ...]
    at_once: bool = False
    start_file: Path | None = None


@attrs.frozen(kw_only=True)
class CallResults:
    """Results of the calls, with all texts that the engine showed.

    Attributes:
        results: The results in the order of the calls; a text for a refusal.
        texts: The log lines and representations.
    """

    results: tuple[Any, ...]
    texts: tuple[str, ...]


@attrs.frozen
class _NoWorkerSettings:
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
    own_section = sources.load("conformance", _NoWorkerSettings).settings.compute[factory.info.name]
    check_section(own_section.settings)
    context = ComputeContext(
        settings=own_section.settings, defaults=own_section.defaults, logger=lines
    )
    return factory.create_engine(context)


def make_spec(engine: ComputeEngine, call: Call) -> ComputeSpec:
    """Make the spec that the lifecycle would send."""
    return ComputeSpec(
        tenant=call.tenant,
        name=f"name of {call.tenant}",
        location=engine.location(call.config),
        config=call.config,
        config_hash=config_hash(call.config),
        key_hashes=key_hashes(call.config),
    )


def run_calls(batch: CallBatch) -> CallResults:
    """Perform all calls with a new engine."""
    try:
        _, factory = load_compute_engine(batch.engine)
    except PluginError as error:
        raise CannotRun(f"the engine cannot be loaded: {error}") from None
    return asyncio.run(_run_calls(factory, batch))


async def _run_calls(factory: ComputeEngineFactory, batch: CallBatch) -> CallResults:
    lines = Lines()
    engine = create_engine(factory, batch.section, lines)
    if batch.start_file is not None:
        batch.start_file.touch()
    coroutines = [_make_call(engine, call) for call in batch.calls]
    if batch.at_once:
        results = await asyncio.gather(*coroutines)
    else:
        results = [await coroutine for coroutine in coroutines]
    await engine.aclose()
    texts = (repr(engine), *map(repr, results))
    return CallResults(results=tuple(results), texts=(*texts, *lines.texts))


async def _make_call(engine: ComputeEngine, call: Call) -> Any:
    spec = make_spec(engine, call)
    try:
        if call.method == "healthy":
            return await _wait_healthy(engine, spec)
        if call.method == "try_destroy":
            return await _destroy_if_idle(engine, spec)
        if call.method in ("provision", "update"):
            method = getattr(engine, call.method)
            return await _retry_while_busy(lambda: method(spec))
        method = getattr(engine, call.method)
        return await _retry_while_busy(lambda: method(spec.tenant, spec.location))
    except ComputeRefused as error:
        return f"refused: {error}"


async def _wait_healthy(engine: ComputeEngine, spec: ComputeSpec) -> Observation:
    until = monotonic() + LONGEST_RETRY
    while True:
        observed = await engine.inspect(spec.tenant, spec.location)
        if observed.state is ResourceState.HEALTHY or monotonic() > until:
            return observed
        await asyncio.sleep(_PAUSE)


async def _destroy_if_idle(engine: ComputeEngine, spec: ComputeSpec) -> bool | None:
    try:
        return await engine.destroy(spec.tenant, spec.location)
    except ComputeUnavailable:
        return None


async def _retry_while_busy(call: Callable[[], Awaitable[Any]]) -> Any:
    """Repeat a call until the target is not busy, as the lifecycle does."""
    until = monotonic() + LONGEST_RETRY
    while True:
        try:
            return await call()
        except ComputeUnavailable:
            if monotonic() > until:
                raise
        await asyncio.sleep(_PAUSE)
