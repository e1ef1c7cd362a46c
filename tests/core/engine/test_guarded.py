"""Each method of a worker engine, and each part of its local backend, is called inside the error boundary."""

import sys
from collections.abc import AsyncGenerator, AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any, NoReturn

import attrs
import pytest

from landlord_engines_core.engine import (
    EngineInfo,
    LocalBackend,
    Registration,
    RegistrationState,
    TenantStatus,
    WorkerEngine,
)
from landlord_engines_core.engine.guarded import GuardedEngine, build_boundary, open_local_backend
from landlord_engines_core.engine.moving import MoveReport
from landlord_engines_core.errors import EngineFailed
from landlord_engines_core.models import PolledExecution
from landlord_test_target.landlord import RUNNING, ScriptedDispatcher

BOUNDARY = build_boundary(EngineInfo(name="own", contract=1))
REGISTERED = Registration(state=RegistrationState.REGISTERED, detail="here")
MOVE_REPORT = MoveReport(old="http://old", latest="http://new", moves=(), remaining=0)
TENANT = TenantStatus(tenant="t")


async def list_tenants(engine: WorkerEngine) -> list[TenantStatus]:
    return [tenant async for tenant in engine.list_tenants()]


CALLS: dict[str, Callable[[WorkerEngine], Any]] = {
    "serve": lambda engine: engine.serve(lambda: None),
    "register": lambda engine: engine.register(),
    "shutdown": lambda engine: engine.shutdown(1),
    "dry_run_registration": lambda engine: engine.dry_run_registration(),
    "watch_registration": lambda engine: engine.watch_registration(),
    "make_latest": lambda engine: engine.make_latest(),
    "move": lambda engine: engine.move("http://old", dry_run=True),
    "list_tenants": list_tenants,
    "read_tenant": lambda engine: engine.read_tenant("t"),
    "retry_job": lambda engine: engine.retry_job("inv_1"),
}


@attrs.frozen
class Engine(WorkerEngine):
    """An engine that answers, or exits."""

    exits: bool = False

    async def serve(self, started: Callable[[], None]) -> None:
        self._leave()
        started()

    async def register(self) -> Registration:
        return self._answer()

    async def shutdown(self, grace: float) -> None:
        self._leave()

    def check(self) -> None:
        self._leave()

    async def dry_run_registration(self) -> Registration:
        return self._answer()

    async def watch_registration(self) -> Registration:
        return self._answer()

    async def make_latest(self) -> Registration:
        return self._answer()

    async def move(self, old: str, *, dry_run: bool) -> MoveReport:
        self._leave()
        return MOVE_REPORT

    async def list_tenants(self) -> AsyncGenerator[TenantStatus, None]:
        self._leave()
        yield TENANT

    async def read_tenant(self, tenant: str) -> TenantStatus:
        self._leave()
        return TENANT

    async def retry_job(self, execution_id: str) -> bool:
        self._leave()
        return True

    def _answer(self) -> Registration:
        self._leave()
        return REGISTERED

    def _leave(self) -> None:
        if self.exits:
            sys.exit(0)


@pytest.mark.parametrize("method", CALLS)
async def test_an_exit_in_any_method_is_an_error(method: str) -> None:
    with pytest.raises(EngineFailed, match=f"worker engine own raised SystemExit in {method} "):
        await CALLS[method](GuardedEngine(Engine(exits=True), BOUNDARY))


def test_an_exit_in_the_check_is_an_error() -> None:
    with pytest.raises(EngineFailed, match="own raised SystemExit in check "):
        GuardedEngine(Engine(exits=True), BOUNDARY).check()


async def test_the_answers_of_an_engine_are_returned() -> None:
    engine = GuardedEngine(Engine(), BOUNDARY)
    engine.check()

    answers = [await call(engine) for call in CALLS.values()]

    reads = [[TENANT], TENANT, True]
    assert answers == [
        *(None, REGISTERED, None, REGISTERED, REGISTERED, REGISTERED, MOVE_REPORT),
        *reads,
    ]


def call_exit() -> NoReturn:
    sys.exit(0)


@asynccontextmanager
async def start(settings: object, folder: Path) -> AsyncIterator[LocalBackend]:
    """Runs a backend; ``settings`` say where it exits."""
    if settings == "start":
        call_exit()
    yield LocalBackend(settings={}, dispatcher=ScriptedDispatcher())
    if settings == "end":
        call_exit()


async def open_and_use(
    settings: object, use: Callable[[LocalBackend], Awaitable[object]]
) -> object:
    async with open_local_backend(BOUNDARY, start, settings, Path("/nowhere")) as backend:
        return await use(backend)


async def dispatch(backend: LocalBackend) -> str:
    return await backend.dispatcher.dispatch(b"{}")


async def poll(backend: LocalBackend) -> PolledExecution | None:
    await backend.dispatcher.kill("inv_2")
    return await backend.dispatcher.poll("inv_1")


async def fail(_: LocalBackend) -> None:
    raise ZeroDivisionError


async def test_a_local_backend_is_used_through_its_dispatcher() -> None:
    assert await open_and_use("", dispatch) == "inv_1"
    assert await open_and_use("", poll) == RUNNING


@pytest.mark.parametrize("where", ["start", "end"])
async def test_an_exit_of_a_local_backend_is_an_error(where: str) -> None:
    with pytest.raises(EngineFailed, match="own raised SystemExit in local_backend "):
        await open_and_use(where, dispatch)


async def test_an_error_of_who_uses_a_local_backend_stays_what_it_is() -> None:
    with pytest.raises(ZeroDivisionError):
        await open_and_use("", fail)
