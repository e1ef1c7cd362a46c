"""The hermetic tier of worker engines: one process creates the engine, and there is no backend."""

import asyncio
import gc
import os
from collections.abc import Awaitable, Callable, Iterator, Mapping
from contextlib import suppress
from functools import partial
from typing import Any

import attrs

from landlord_engines_core.conformance.children import call_in_child
from landlord_engines_core.conformance.lines import Lines
from landlord_engines_core.conformance.settings import load_settings, secret_keys
from landlord_engines_core.conformance.state import list_changes, read_state
from landlord_engines_core.conformance.story import CannotRun, DoesNotApply, RuleBroken
from landlord_engines_core.conformance.subject import Check, Subject
from landlord_engines_core.engine import (
    Capability,
    EngineContext,
    EngineFactory,
    HostInfo,
    WorkerEngine,
)
from landlord_engines_core.errors import (
    CapabilityNotSupported,
    EngineRefused,
    PluginError,
    SettingsError,
    Transient,
)
from landlord_engines_core.plugins import load_worker_engine

__all__ = ["list_hermetic_checks"]

GRACE = 1.0
"""Seconds that a shutdown gets."""

LONGEST_CHECK = 1.0
"""Seconds that `check` may take, which makes no connection."""

CANARY = "canary-5f3a9c"
"""The value of each secret setting."""

DONE = "done"


@attrs.frozen(kw_only=True)
class Stage:
    """The process of one check.

    Attributes:
        lines: The log lines of the engine.
    """

    factory: EngineFactory
    settings: Mapping[str, str]
    lines: Lines = attrs.field(factory=Lines)

    def create(self, settings: Mapping[str, str] | None = None) -> WorkerEngine:
        """Create an engine as the host does.

        Raises:
            SettingsError: The engine refuses these settings.
        """
        chosen = self.settings if settings is None else settings
        context = EngineContext(
            settings=load_settings(self.factory, chosen),
            run_job=_run_no_job,
            resync=_run_no_job,
            is_desired=_run_no_job,
            logger=self.lines,
            host=HostInfo(),
        )
        return self.factory.create_engine(context)

    def create_with_settings(self) -> WorkerEngine:
        """Create an engine, whose settings have to suffice.

        Raises:
            CannotRun: The engine needs other settings.
        """
        try:
            return self.create()
        except SettingsError as error:
            raise CannotRun(
                f"the engine needs settings: give the suite some ({error.message})"
            ) from None


def list_hermetic_checks() -> dict[str, Check]:
    """List the hermetic checks, by the id of the rule."""
    scenarios = {
        "CFG-2": check_settings_errors,
        "CFG-3": check_secrets,
        "CAP-2": check_capabilities,
        "LIFE-1": check_shutdown_first,
        "LIFE-2": check_nothing_left,
        "LIFE-3": check_check,
        "SIG-1": check_host_state,
    }
    return {rule: partial(_play, scenario) for rule, scenario in scenarios.items()}


def _play(scenario: Callable[[Stage], Awaitable[str | None]], subject: Subject) -> str:
    """Play a scenario in a process of its own."""
    call = partial(_play_here, scenario, subject.name, dict(subject.settings))
    note: str = call_in_child(call, subject.folder)
    return "" if note == DONE else note


def _play_here(
    scenario: Callable[[Stage], Awaitable[str | None]], name: str, settings: Mapping[str, str]
) -> str:
    try:
        _, factory = load_worker_engine(name)
    except PluginError as error:
        raise CannotRun(f"the engine cannot be loaded: {error}") from None

    async def play() -> str | None:
        return await scenario(Stage(factory=factory, settings=settings))

    return asyncio.run(play()) or DONE


async def check_settings_errors(stage: Stage) -> None:
    """CFG-2."""
    for settings in ({}, stage.settings):
        try:
            stage.create(settings)
        except SettingsError:
            continue
        except Exception as error:
            raise RuleBroken(f"create_engine raised {type(error).__name__}") from error


async def check_secrets(stage: Stage) -> str:
    """CFG-3."""
    keys = secret_keys(stage.factory)
    if not keys:
        raise DoesNotApply("the settings class has no field of type Secret")
    settings = {**stage.settings, **dict.fromkeys(keys, CANARY)}
    texts = []
    try:
        engine = stage.create(settings)
        texts = [repr(engine), repr(load_settings(stage.factory, settings))]
        engine.check()
        await engine.shutdown(GRACE)
    except Exception as error:  # noqa: BLE001  # whatever it is, its text is what counts
        texts.append(f"{error!r} {error}")
    for text in (*texts, *stage.lines.texts):
        if CANARY in text:
            raise RuleBroken("a secret of the settings is shown", text.replace(CANARY, "SECRET"))
    return f"secrets: {', '.join(keys)}"


async def check_capabilities(stage: Stage) -> None:
    """CAP-2."""
    engine = stage.create_with_settings()
    for capability, method, arguments in _OPTIONAL:
        declared = stage.factory.info.supports(capability)
        own = getattr(type(engine), method) is not getattr(WorkerEngine, method)
        if declared and not own:
            raise RuleBroken(f"{capability} is declared in full, and {method} is not implemented")
        if not declared and own:
            await _expect_refusal(engine, capability, method, arguments)
    await engine.shutdown(0)


_OPTIONAL: tuple[tuple[Capability, str, dict[str, Any]], ...] = (
    (Capability.DRY_RUN, "dry_run_registration", {}),
    (Capability.WATCH, "watch_registration", {}),
    (Capability.MAKE_LATEST, "make_latest", {}),
    (Capability.MOVE, "move", {"old": "http://127.0.0.1:9", "dry_run": True}),
    (Capability.RECORDS, "read_tenant", {"tenant": "t"}),
    (Capability.RETRY, "retry_job", {"execution_id": "1"}),
)
"""The optional capabilities, each with a method that can be awaited."""


async def _expect_refusal(
    engine: WorkerEngine, capability: Capability, method: str, arguments: Mapping[str, Any]
) -> None:
    with suppress(CapabilityNotSupported, EngineRefused):
        await getattr(engine, method)(**arguments)
        raise RuleBroken(f"{capability} is not declared in full, and {method} does something")


async def check_shutdown_first(stage: Stage) -> None:
    """LIFE-1."""
    engine = stage.create_with_settings()
    for call in ("the first", "the second"):
        try:
            async with asyncio.timeout(2 * GRACE):
                await engine.shutdown(GRACE)
        except TimeoutError:
            raise RuleBroken(f"{call} shutdown before serve did not return in {GRACE} s") from None


async def check_nothing_left(stage: Stage) -> None:
    """LIFE-2."""
    threads = read_state()["threads"]
    # The first engine may import and open things once, which is no leak.
    await _create_and_drop(stage)
    before = list(_list_descriptors())
    await _create_and_drop(stage)
    left = [*_list_descriptors()][len(before) :]
    tasks = [task for task in asyncio.all_tasks() if task is not asyncio.current_task()]
    if left or tasks or read_state()["threads"] != threads:
        raise RuleBroken(
            "an engine that never served left something behind",
            *(f"descriptor {number}" for number in left),
            *(f"task {task.get_coro()!r}" for task in tasks),
            f"threads before: {threads}, after: {read_state()['threads']}",
        )


async def _create_and_drop(stage: Stage) -> None:
    engine = stage.create_with_settings()
    await engine.shutdown(GRACE)
    del engine
    gc.collect()


def _list_descriptors() -> Iterator[str]:
    # Linux and macOS both have this folder.
    return iter(sorted(os.listdir("/dev/fd")))  # noqa: PTH208  # names suffice


async def check_check(stage: Stage) -> None:
    """LIFE-3."""
    engine, loop = stage.create_with_settings(), asyncio.get_running_loop()
    began = loop.time()
    try:
        engine.check()
    except EngineRefused:
        pass
    except Exception as error:
        raise RuleBroken(f"check raised {type(error).__name__}") from error
    took = loop.time() - began
    await engine.shutdown(0)
    if took > LONGEST_CHECK:
        raise RuleBroken(f"check took {took:.1f} s")


async def check_host_state(stage: Stage) -> None:
    """SIG-1."""
    before = read_state()
    engine = stage.create_with_settings()
    with suppress(EngineRefused):
        engine.check()
    await engine.shutdown(GRACE)
    if changes := list(list_changes(before)):
        raise RuleBroken(f"the engine changed {', '.join(changes)}")


async def _run_no_job(*_: object) -> Any:
    raise Transient("there is no backend, and so no job")
