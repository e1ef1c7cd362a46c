"""Each wrong declaration of a compute engine's factory is named, and a sound one is not."""

from collections.abc import Callable
from contextvars import ContextVar
from threading import current_thread, main_thread
from typing import Any

import attrs
import pytest

from landlord_engines_core.catalog import COMPUTE_ENGINES, list_engines
from landlord_engines_core.compute import (
    ComputeContext,
    ComputeEngine,
    ComputeEngineFactory,
    ComputeEngineInfo,
)
from landlord_engines_core.compute.declaration import find_compute_problems
from landlord_engines_core.compute.mock import MockCompute
from landlord_engines_core.errors import ComputeUnavailable, LandlordEnginesError, SettingsError
from landlord_engines_core.host.compute import create_engine
from landlord_engines_core.plugins import load_compute_engine
from landlord_test_target.in_memory import RecordingLogger


@attrs.frozen(kw_only=True)
class Settings:
    """The operator's settings."""

    url: str = ""
    bad: bool = False

    def check(self) -> None:
        if self.bad:
            raise SettingsError("compute.own.bad must not be set")


class Unfinished(ComputeEngine):
    """An engine that lacks most methods."""

    def __init__(self, context: ComputeContext) -> None:
        """Nothing is kept."""

    async def aclose(self) -> None:
        """Nothing is open."""


def create(context: ComputeContext) -> MockCompute:
    return MockCompute(context.defaults)


def create_unfinished(context: ComputeContext) -> Unfinished:
    raise NotImplementedError


def create_text(context: ComputeContext) -> str:
    return str(context)


def create_unresolved(context: ComputeContext) -> "Nowhere":  # type: ignore[name-defined]  # noqa: F821
    return MockCompute()


def declare(**changes: Any) -> ComputeEngineFactory:
    sound = ComputeEngineFactory(
        info=ComputeEngineInfo(name="own", contract=1), settings_type=Settings, create_engine=create
    )
    return attrs.evolve(sound, **changes)


@pytest.mark.parametrize("candidate", list_engines(COMPUTE_ENGINES), ids=lambda engine: engine.name)
def test_the_installed_engines_declare_what_holds(candidate: Any) -> None:
    _, factory = load_compute_engine(candidate.name)

    assert find_compute_problems(candidate.name, factory) == ()


@pytest.mark.parametrize(
    ("changes", "named"),
    [
        ({"info": 5}, "its info is an object of type int, and not a ComputeEngineInfo"),
        ({"info": ComputeEngineInfo(name="own", contract=2)}, "it is for version 2"),
        ({"info": ComputeEngineInfo(name="other", contract=1)}, "its info has the name 'other'"),
        ({"settings_type": dict}, "its settings_type is the class dict, and not an attrs class"),
        ({"create_engine": 5}, "its create_engine is an object of type int, and not callable"),
        ({"create_engine": lambda: None}, "does not take one argument, the context"),
        ({"create_engine": create_text}, "it creates an object of type str, and not a Comp"),
        ({"create_engine": create_unfinished}, "Unfinished lacks config_defaults"),
        ({"create_engine": Unfinished}, "Unfinished lacks"),
    ],
)
def test_a_wrong_declaration_is_named(changes: dict[str, Any], named: str) -> None:
    problems = find_compute_problems("own", declare(**changes))

    assert any(named in problem for problem in problems)


@pytest.mark.parametrize("function", [create, create_unresolved, lambda context: context])
def test_a_sound_declaration_has_no_problem(function: Callable[..., object]) -> None:
    assert find_compute_problems("own", declare(create_engine=function)) == ()


def fail(error: Exception) -> Callable[[ComputeContext], ComputeEngine]:
    def create(_: ComputeContext) -> ComputeEngine:
        raise error

    return create


def exit_early(_: ComputeContext) -> ComputeEngine:
    raise SystemExit


def with_schema(schema: Any) -> Callable[[ComputeContext], ComputeEngine]:
    class Engine(MockCompute):
        def config_schema(self) -> Any:
            if isinstance(schema, Exception):
                raise schema
            return schema

    return lambda _: Engine()


@pytest.mark.parametrize(
    ("function", "settings", "named"),
    [
        (fail(SettingsError("compute.own.url is wrong")), Settings(), "compute.own.url is wrong"),
        (create, Settings(bad=True), "compute.own.bad must not be set"),
        (fail(ComputeUnavailable("no port is free")), Settings(), "no port is free"),
        (fail(KeyError("sesame")), Settings(), "raised KeyError in create_engine at"),
        (exit_early, Settings(), "raised SystemExit in create_engine"),
        (lambda _: None, Settings(), "it creates an object of type NoneType, and not a Compu"),
        (
            with_schema(schema={"type": 7}),
            Settings(),
            "its config_schema is no JSON Schema 2020-12: $.type",
        ),
        (with_schema(schema=True), Settings(), "its config_schema returns an object of type bool"),
        (
            with_schema({"properties": {"url": {}}}),
            Settings(),
            "url is both a setting and a key of",
        ),
        (with_schema(KeyError("sesame")), Settings(), "raised KeyError in config_schema"),
    ],
)
def test_an_engine_that_cannot_be_created_is_named_without_a_value(
    function: Callable[..., Any], settings: Settings, named: str
) -> None:
    candidate = next(engine for engine in list_engines(COMPUTE_ENGINES) if engine.name == "mock")
    context = ComputeContext(settings=settings, logger=RecordingLogger())

    with pytest.raises(LandlordEnginesError) as caught:
        create_engine(candidate, declare(create_engine=function), context)

    assert named in caught.value.message
    assert "sesame" not in str(caught.value)


async def test_blocking_work_runs_in_a_thread_and_keeps_the_context_of_the_job() -> None:
    context = ComputeContext(settings=None, logger=RecordingLogger())
    tenant = ContextVar("tenant", default="")
    tenant.set("t")

    def add(number: int, *, more: int) -> tuple[str, int, bool]:
        return tenant.get(), number + more, current_thread() is main_thread()

    assert await context.run_in_thread(add, 1, more=2) == ("t", 3, False)
