"""Each wrong declaration of a factory is named, and a sound one is not."""

from collections.abc import Callable
from typing import Any

import attrs
import pytest

from landlord_engines_core.catalog import WORKER_ENGINES, list_engines
from landlord_engines_core.engine import (
    Capability,
    EngineContext,
    EngineFactory,
    EngineInfo,
    Registration,
    RegistrationState,
    Support,
    WorkerEngine,
)
from landlord_engines_core.engine.declaration import find_factory_problems
from landlord_engines_core.plugins import load_worker_engine

LOCK = {Capability.TENANT_LOCK: Support.FULL}


@attrs.frozen(kw_only=True)
class Settings:
    path: str
    interval: float = 1.0


class Engine(WorkerEngine):
    """An engine with the three required hooks only."""

    def __init__(self, context: EngineContext) -> None:
        """Nothing is kept."""

    async def serve(self, started: Callable[[], None]) -> None:
        started()

    async def register(self) -> Registration:
        return Registration(state=RegistrationState.REGISTERED)

    async def shutdown(self, grace: float) -> None:
        """Nothing runs."""


def create(context: EngineContext) -> Engine:
    return Engine(context)


def start(settings: object, folder: object) -> Any:
    """Starts nothing."""


def declare(capabilities: Any = None, **changes: Any) -> EngineFactory:
    info = EngineInfo(
        name="own", contract=1, capabilities=LOCK if capabilities is None else capabilities
    )
    sound = EngineFactory(info=info, settings_type=Settings, create_engine=create)
    return attrs.evolve(sound, **changes)


@pytest.mark.parametrize("name", [engine.name for engine in list_engines(WORKER_ENGINES)])
def test_each_installed_engine_is_sound(name: str) -> None:
    assert find_factory_problems(name, load_worker_engine(name)[1]) == ()


@pytest.mark.parametrize(
    "sound",
    [
        declare(),
        declare(create_engine=Engine),
        declare(create_engine=lambda context: Engine(context)),  # noqa: PLW0108  # it has no annotation
        declare(local_backend=start, other_local_backends={"other": start}),
        declare({**LOCK, Capability.MOVE: Support.PLANNED}),
        declare({Capability.TENANT_LOCK: Support.UNSUPPORTED}),
    ],
)
def test_a_sound_factory_has_no_problem(sound: EngineFactory) -> None:
    assert find_factory_problems("own", sound) == ()


@attrs.frozen
class Untyped:
    path = attrs.field(default="")  # type: ignore[var-annotated]  # the case


@attrs.frozen
class Unresolved:
    path: "Nowhere" = ""  # type: ignore[name-defined]  # noqa: F821  # the case


@attrs.frozen
class Private:
    _path: str = ""
    counted: int = attrs.field(init=False, default=0)


class Half(WorkerEngine):
    async def serve(self, started: Callable[[], None]) -> None:
        started()


def factory_returning(kind: object) -> Callable[[EngineContext], Any]:
    def created(context: EngineContext) -> Any:
        raise AssertionError

    created.__annotations__["return"] = kind
    return created


@pytest.mark.parametrize(
    ("wrong", "problems"),
    [
        (declare(info="own"), ["its info is an object of type str, and not an EngineInfo"]),
        (
            declare(info=EngineInfo(name="own", contract=99, capabilities=LOCK)),
            ["it is for version 99 of the contract, and this host implements version 1"],
        ),
        (
            declare(info=EngineInfo(name="other", contract=1, capabilities=LOCK)),
            ["its info has the name 'other', and its entry point 'own'"],
        ),
        (declare([]), ["its capabilities are an object of type list, and not a mapping"]),
        (
            declare({**LOCK, "move": "full"}),
            ["its capabilities map 'move' to 'full', and not a Capability to a Support"],
        ),
        (
            declare({}),
            ["it does not say whether it supports tenant-lock, without which no worker serves"],
        ),
        (
            declare(settings_type=dict),
            ["its settings_type is the class dict, and not an attrs class"],
        ),
        (
            declare(settings_type=5),
            ["its settings_type is an object of type int, and not an attrs class"],
        ),
        (declare(settings_type=Untyped), ["Untyped.path has no type"]),
        (
            declare(settings_type=Unresolved),
            ["a type in Unresolved cannot be resolved: name 'Nowhere' is not defined"],
        ),
        (
            declare(settings_type=Private),
            [
                "Private._path is private, and no setting can be",
                "Private.counted is private, and no setting can be",
            ],
        ),
        (
            declare(create_engine=None),
            ["its create_engine is an object of type NoneType, and not callable"],
        ),
        (
            declare(create_engine=lambda: None),
            ["its create_engine does not take one argument, the context"],
        ),
        (
            declare(create_engine=factory_returning(int)),
            ["it creates an object of type int, and not a WorkerEngine"],
        ),
        (
            declare(create_engine=factory_returning(Half)),
            ["Half lacks register", "Half lacks shutdown"],
        ),
        (
            declare(dict.fromkeys((*LOCK, Capability.MOVE, Capability.WATCH), Support.FULL)),
            [
                "it declares watch-registration in full, and Engine does not override watch_registration",
                "it declares move in full, and Engine does not override move",
            ],
        ),
        (
            declare(local_backend=lambda folder: folder, other_local_backends={"other": 5}),
            [
                "the local backend 'local_backend' does not take two arguments, settings and folder",
                "the local backend 'other' does not take two arguments, settings and folder",
            ],
        ),
        (
            declare(other_local_backends=[]),
            ["its other_local_backends are an object of type list, and not a mapping"],
        ),
    ],
)
def test_each_problem_of_a_factory_is_named(wrong: EngineFactory, problems: list[str]) -> None:
    assert list(find_factory_problems("own", wrong)) == problems


def test_a_name_that_settings_cannot_have_is_a_problem() -> None:
    odd = declare(info=EngineInfo(name="My Engine", contract=1, capabilities=LOCK))

    assert find_factory_problems("My Engine", odd) == (
        "the name 'My Engine' does not match [a-z][a-z0-9-]*",
    )


@pytest.mark.parametrize(
    "function",
    [factory_returning("Nowhere"), factory_returning(WorkerEngine), print],
    ids=["unresolved", "base", "in C"],
)
def test_a_function_that_does_not_say_what_it_creates_is_sound(
    function: Callable[[EngineContext], Any],
) -> None:
    assert find_factory_problems("own", declare(create_engine=function)) == ()
