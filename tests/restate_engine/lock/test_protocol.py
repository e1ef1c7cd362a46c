"""Responses and state of the lock, with a context that runs each step at once."""

from collections.abc import AsyncIterator, Awaitable, Callable
from types import SimpleNamespace
from typing import Any

import pytest
import pytest_asyncio
from pytest_httpserver import HTTPServer

from landlord_engines_core import codec
from landlord_engines_core.models import CompletedJob, JobStart, Placement, Record, Transition
from landlord_engines_restate.admin import AdminClient
from landlord_engines_restate.journal import Pauses
from landlord_engines_restate.lock import protocol
from landlord_engines_restate.lock.claims import Claims
from landlord_engines_restate.lock.ordering import DispatchOrder, Holder
from landlord_engines_restate.lock.state import STATE, AcquireRequest, LockState, ResyncRequest

EARLY, LATE = "2026-11-24T01:00:10Z", "2026-11-24T01:00:12Z"
PLACEMENT = Placement("mock")
HOLDER = Holder(execution_id="inv_old", since=LATE, dispatched=LATE, operation="update")
TRANSITION = Transition(execution_id="inv_old", operation="update", started_at="t", ended_at="u")
RECORD = Record().with_start(
    "inv_old", JobStart(operation="update", started_at="t", placement=PLACEMENT)
)
RESYNC = Holder(execution_id="inv_resync", since=LATE, is_resync=True)


class Context:
    """Replaces Restate's context, and stores the state of one object."""

    def __init__(self, state: LockState) -> None:
        self.kept: dict[str, bytes] = {STATE: codec.dumps(state)}

    def key(self) -> str:
        return "t"

    def request(self) -> SimpleNamespace:
        return SimpleNamespace(id="inv_me")

    async def get(self, name: str, serde: object) -> bytes | None:
        return self.kept.get(name)

    def set(self, name: str, value: bytes, serde: object) -> None:
        self.kept[name] = value

    async def run_typed(
        self, name: str, action: Callable[[], Awaitable[Any]], options: object
    ) -> Any:  # the SDK's signature
        return await action()

    def clear_all(self) -> None:
        self.kept.clear()

    def state(self) -> LockState:
        return codec.loads(self.kept[STATE], LockState)


@pytest_asyncio.fixture
async def claims(httpserver: HTTPServer) -> AsyncIterator[Claims]:
    async def fail_if_asked(tenant: str) -> bool | None:
        raise AssertionError

    admin = AdminClient(httpserver.url_for("/"))
    order = DispatchOrder(admin=admin, is_desired=fail_if_asked, replay=0.1)
    yield Claims(order=order, pauses=Pauses())
    await admin.aclose()


def respond_with_job(httpserver: HTTPServer, job: str, status: str, result: str = "") -> None:
    row = {"id": job, "created_at": EARLY, "status": status, "completion_result": result}
    httpserver.expect_request("/query").respond_with_json({"rows": [row]})


async def test_a_job_superseded_by_an_ended_one_is_resynced_with_landlords_answer(
    claims: Claims, httpserver: HTTPServer
) -> None:
    respond_with_job(httpserver, "inv_me", "running")
    resyncs: list[CompletedJob] = []
    record = ended_record()
    ctx: Any = Context(LockState(holder=HOLDER, record=record))
    request = AcquireRequest(
        execution_id="inv_me", note=JobStart(operation="update", started_at="t")
    )

    def record_resync(ended: CompletedJob) -> bool:
        resyncs.append(ended)
        return True

    response = await protocol.acquire(ctx, claims, request, record_resync)

    assert response.superseded_by == "inv_old"
    (ended,) = resyncs
    assert (ended.execution_id, ended.removed, ended.overrode_delete) == (
        "inv_old",
        (PLACEMENT,),
        False,
    )
    assert ctx.state().holder == HOLDER


def ended_record() -> Record:
    return Record(placements=(PLACEMENT,)).with_end(TRANSITION)


@pytest.mark.parametrize(
    ("status", "result", "superseded_by"),
    [("completed", "failure", ""), ("invoked", "", "inv_old")],
    ids=["killed", "running"],
)
async def test_a_tenant_is_resynced_after_a_killed_job_and_not_during_one(
    claims: Claims, httpserver: HTTPServer, status: str, result: str, superseded_by: str
) -> None:
    respond_with_job(httpserver, "inv_old", status, result)
    ctx: Any = Context(LockState(holder=HOLDER, record=RECORD))
    note = JobStart(operation="resync", started_at="t")
    request = ResyncRequest(execution_id="inv_resync", after="inv_old", note=note)

    response = await protocol.resync(ctx, claims, request)

    assert response.superseded_by == superseded_by
    assert (ctx.state().resync is None) == bool(superseded_by)


@pytest.mark.parametrize(
    ("status", "result", "is_kept"),
    [("completed", "failure", False), ("invoked", "", True)],
    ids=["killed", "running"],
)
async def test_a_record_is_forgotten_although_its_resync_was_killed(
    claims: Claims, httpserver: HTTPServer, status: str, result: str, *, is_kept: bool
) -> None:
    respond_with_job(httpserver, "inv_resync", status, result)
    deleted = Record().with_end(TRANSITION)
    ctx: Any = Context(LockState(holder=HOLDER, record=deleted, resync=RESYNC))

    await protocol.forget(ctx, claims, "inv_old")

    assert bool(ctx.kept) == is_kept
