"""Moves while jobs change between two queries; tests/e2e/test_move.py tests the usual moves."""

import json
import re
from collections.abc import AsyncIterator
from typing import Any

import attrs
import pytest
import pytest_asyncio
from pytest_httpserver import HTTPServer
from werkzeug import Request, Response

from landlord_engines_core.engine import MoveOutcome, MoveReport
from landlord_engines_core.errors import SettingsError
from landlord_engines_restate.admin import AdminClient
from landlord_engines_restate.deployments import moving
from landlord_engines_restate.deployments.moving import Mover
from landlord_engines_restate.settings import Names

OLD, NEW = "http://old:9080", "http://new:9080"
EARLY, LATE, LATER = (f"2026-01-0{day}T00:00:00Z" for day in (1, 2, 3))


@attrs.define
class Restate:
    """A server with one invocation, which is in the next state of a list after each query."""

    states: list[str] = attrs.field(factory=lambda: ["suspended"])
    service: str = "Jobs"
    body: bytes | None = b'{"tenant_uuid": "acme"}'
    failure: str = ""
    holder: str = ""
    created: str = EARLY
    refused: tuple[str, ...] = ()
    broken: tuple[str, ...] = ()
    incompatible: tuple[str, ...] = ()
    dispatched: str = ""
    entry: str = ""
    lock: str = ""
    services: dict[str, str] = attrs.field(
        factory=lambda: {"Jobs": "dp_new", "JobsTenant": "dp_new"}
    )
    requests: list[str] = attrs.field(factory=list)
    forgotten: bool = False
    result: str = ""

    def answer(self, request: Request) -> Response:
        path, _, name = request.path.rpartition("/")
        if path == "/services":
            known = name in self.services
            return respond(_service(name, self.services.get(name, "")), 200 if known else 404)
        if path.startswith("/invocations"):
            return self.change(name, request.args.get("deployment", ""))
        if request.path == "/query":
            rows = self.rows(json.loads(request.data)["query"])
            return respond({"rows": rows}, 503 if rows is None else 200)
        if path == "/deployments" and self.forgotten:
            return respond({"message": "not found"}, 404)
        names = ("Jobs", "JobsTenant", "Other")
        deployments = (("dp_old", OLD), ("dp_new", NEW))
        return respond(
            {
                "id": "dp_old",
                "services": [_service(name, "dp_old") for name in names],
                "deployments": [{"id": name, "uri": f"{uri}/"} for name, uri in deployments],
            }
        )

    def change(self, name: str, deployment: str) -> Response:
        self.requests.append(f"{name} {deployment}".strip())
        if deployment in self.incompatible:
            return respond({"message": "no such protocol"}, 400)
        if name in self.broken:
            return respond({"message": "broken"}, 503)
        return respond({"message": "no"}, 409 if name in self.refused else 200)

    def rows(self, sql: str) -> list[dict[str, str]] | None:
        if "sys_journal" in sql:
            entry = {"Command": {"Input": {"payload": list(self.body or b"")}}}
            shown_as = self.entry or json.dumps(entry)
            return [] if self.body is None else [{"entry_json": shown_as}]
        if "FROM state" in sql:
            lock = {"holder": {"execution_id": self.holder, "since": LATE}}
            text = self.lock or (json.dumps(lock) if self.holder else "")
            return [{"service_key": "acme", "value_utf8": text}] if text else []
        if sql.startswith("SELECT created_at"):
            row = {"created_at": self.dispatched, "completion_result": self.result}
            return [row] if self.dispatched else []
        status = self.states.pop(0) if len(self.states) > 1 else self.states[0]
        if status == "broken":
            return None
        row = {
            "id": "inv_1",
            "service": self.service,
            "handler": "execute",
            "key": "acme",
            "status": status,
            "created_at": self.created,
            "tried_on": "dp_new",
        }
        return (
            []
            if status == "completed"
            else [row | ({"failure": self.failure} if self.failure else {})]
        )


def respond(document: Any, status: int = 200) -> Response:
    return Response(json.dumps(document), status=status)


def _service(name: str, deployment: str) -> dict[str, Any]:
    return {"name": name, "deployment_id": deployment, "revision": 1}


@pytest.fixture
def restate(httpserver: HTTPServer) -> Restate:
    server = Restate()
    httpserver.expect_request(re.compile(".*")).respond_with_handler(server.answer)
    return server


@pytest_asyncio.fixture
async def mover(httpserver: HTTPServer, restate: Restate) -> AsyncIterator[Mover]:
    admin = AdminClient(httpserver.url_for(""))
    yield Mover(admin=admin, names=Names("Jobs", "Jobs"), pause_timeout=0.05)
    await admin.aclose()


async def move_one(mover: Mover, *, dry_run: bool = False) -> tuple[MoveOutcome, str]:
    moved: MoveReport = await mover.move(OLD, dry_run=dry_run)
    (result,) = moved.moves
    return result.outcome, result.detail


@pytest.mark.parametrize(
    ("states", "outcome"),
    [
        (["suspended", "completed"], MoveOutcome.ENDED),
        (["suspended", "running"], MoveOutcome.RUNNING),
        (["backing-off", "backing-off", "running", "completed"], MoveOutcome.ENDED),
        (["backing-off", "backing-off", "running", "paused"], MoveOutcome.MOVED),
        (["running", "backing-off", "suspended"], MoveOutcome.MOVED),
    ],
)
async def test_a_job_that_changes_between_two_queries_is_moved_by_its_new_state(
    restate: Restate, mover: Mover, states: list[str], outcome: MoveOutcome
) -> None:
    restate.states = states

    assert (await move_one(mover))[0] is outcome


async def test_a_job_that_runs_before_its_pause_is_reported_with_the_next_step(
    restate: Restate, mover: Mover
) -> None:
    restate.states = ["backing-off", "backing-off", "running"]

    moved = await mover.move(OLD, dry_run=False)

    assert moved.moves[0].outcome is MoveOutcome.LEFT
    assert moved.moves[0].detail.endswith("run this again then")
    assert moved.remaining == 1
    assert set(restate.requests) == {"pause"}


async def test_a_running_job_is_moved_if_its_old_version_is_unreachable(
    restate: Restate, mover: Mover
) -> None:
    restate.failure = "RT0010"
    restate.states = ["running", "running", "running", "paused", "suspended"]

    assert await move_one(mover) == (MoveOutcome.MOVED, "")
    assert restate.requests == ["pause", "pause", "resume latest"]


async def test_a_job_that_runs_again_before_it_is_resumed_is_left_alone(
    restate: Restate, mover: Mover
) -> None:
    restate.refused = ("resume",)

    assert await move_one(mover) == (MoveOutcome.RUNNING, "")
    assert restate.requests == ["resume latest"]


async def test_a_job_that_temporarily_cannot_be_moved_is_left_with_the_reason(
    restate: Restate, mover: Mover
) -> None:
    restate.broken = ("resume",)

    outcome, detail = await move_one(mover)

    assert outcome is MoveOutcome.LEFT
    assert "cannot be used: broken" in detail


@pytest.mark.parametrize("failure", ["RT0012", "RT0016"])
async def test_a_job_that_does_not_fit_the_latest_version_returns_to_the_old_one(
    restate: Restate, mover: Mover, failure: str
) -> None:
    restate.failure = failure
    restate.states = ["backing-off", "backing-off", "paused", "backing-off", "paused"]

    outcome, detail = await move_one(mover)

    assert outcome is MoveOutcome.LEFT
    assert detail.endswith("it has to end on the old version")
    assert restate.requests == ["pause", "resume latest", "pause", "resume dp_old"]


async def test_a_job_that_still_runs_after_the_time_in_which_a_mismatch_shows_counts_as_moved(
    restate: Restate, mover: Mover, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(moving, "FIRST_ATTEMPT", 0.05)
    restate.states = ["suspended", "suspended", "running"]

    assert await move_one(mover) == (MoveOutcome.MOVED, "")


async def test_a_job_of_whose_holder_restate_has_forgotten_the_dispatch_is_left_to_the_operator(
    restate: Restate, mover: Mover
) -> None:
    restate.holder = "inv_2"

    outcome, detail = await move_one(mover)

    assert outcome is MoveOutcome.LEFT
    assert detail.startswith("inv_2 had the lock last, but Restate has forgotten when")
    assert restate.requests == []


@pytest.mark.parametrize(
    ("refused", "expected"), [((), MoveOutcome.KILLED), (("kill",), MoveOutcome.ENDED)]
)
async def test_a_job_that_a_later_one_has_superseded_is_killed(
    restate: Restate, mover: Mover, refused: tuple[str, ...], expected: MoveOutcome
) -> None:
    restate.holder, restate.dispatched = "inv_2", LATE
    restate.refused = refused

    outcome, detail = await move_one(mover)

    assert outcome is expected
    assert "inv_2" in detail
    assert restate.requests == ["kill"]


@pytest.mark.parametrize(
    ("field", "form", "reason"),
    [
        (
            "entry",
            '{"Command": {"Other": {"payload": []}}}',
            "in another form than restate-server 1.7",
        ),
        ("lock", "[]", "the state of JobsTenant on Restate at"),
    ],
)
async def test_a_job_whose_entry_or_lock_cannot_be_read_is_left_where_it_is(
    restate: Restate, mover: Mover, field: str, form: str, reason: str
) -> None:
    setattr(restate, field, form)

    outcome, detail = await move_one(mover)

    assert outcome is MoveOutcome.LEFT
    assert reason in detail


async def test_a_job_that_the_latest_version_refuses_returns_to_the_old_one(
    restate: Restate, mover: Mover
) -> None:
    restate.states, restate.incompatible = ["backing-off", "backing-off", "paused"], ("latest",)

    outcome, detail = await move_one(mover)

    assert outcome is MoveOutcome.LEFT
    assert "no such protocol" in detail
    assert restate.requests == ["pause", "resume latest", "resume dp_old"]


async def test_a_paused_job_stays_paused_if_the_latest_version_refuses_it(
    restate: Restate, mover: Mover
) -> None:
    restate.states, restate.incompatible = ["paused"], ("latest",)

    assert (await move_one(mover))[0] is MoveOutcome.LEFT
    assert restate.requests == ["resume latest"]


async def test_a_misfit_that_cannot_return_is_reported(restate: Restate, mover: Mover) -> None:
    restate.failure = "RT0016"
    restate.states = ["suspended", "suspended", "backing-off", "running"]

    outcome, detail = await move_one(mover)

    assert outcome is MoveOutcome.LEFT
    assert "could not be returned to the old version: it started to run" in detail


async def test_a_job_that_cannot_be_watched_after_its_move_is_reported(
    restate: Restate, mover: Mover
) -> None:
    restate.states = ["suspended", "suspended", "broken", "running"]

    outcome, detail = await move_one(mover)

    assert outcome is MoveOutcome.MOVED
    assert detail.startswith("its first attempt there could not be observed")


@pytest.mark.parametrize(("holder", "created"), [("inv_2", LATER), ("inv_1", EARLY)])
async def test_a_job_that_no_later_one_has_superseded_is_moved(
    restate: Restate, mover: Mover, holder: str, created: str
) -> None:
    restate.holder, restate.created = holder, created

    assert (await move_one(mover))[0] is MoveOutcome.MOVED


async def test_a_later_job_that_was_killed_before_its_end_overtakes_none(
    restate: Restate, mover: Mover
) -> None:
    restate.holder, restate.dispatched, restate.result = "inv_2", LATE, "failure"

    assert (await move_one(mover))[0] is MoveOutcome.MOVED


async def test_the_tenant_of_a_job_is_known_whatever_its_configuration(
    restate: Restate, mover: Mover
) -> None:
    restate.body = b'{"desired_config": ' + b"[" * 9000 + b"]" * 9000 + b', "tenant_uuid": "acme"}'

    (result,) = (await mover.move(OLD, dry_run=False)).moves

    assert result.tenant == "acme"


@pytest.mark.parametrize("body", [None, b"", b"{}", b"\xff"])
async def test_a_job_that_names_no_tenant_is_moved_to_be_refused_there(
    restate: Restate, mover: Mover, body: bytes | None
) -> None:
    restate.body = body

    (result,) = (await mover.move(OLD, dry_run=False)).moves

    assert (result.tenant, result.outcome) == ("", MoveOutcome.MOVED)


async def test_a_dry_run_sends_no_change(restate: Restate, mover: Mover) -> None:
    for status, outcome in (("paused", MoveOutcome.MOVED), ("running", MoveOutcome.RUNNING)):
        restate.states = [status]
        assert (await move_one(mover, dry_run=True))[0] is outcome
    restate.states, restate.holder, restate.dispatched = ["backing-off"], "inv_2", LATE
    assert (await move_one(mover, dry_run=True))[0] is MoveOutcome.KILLED

    assert restate.requests == []


async def test_a_job_without_another_version_stays(restate: Restate, mover: Mover) -> None:
    restate.service = "Other"

    assert await move_one(mover) == (MoveOutcome.LEFT, "no other version serves it")


async def test_a_deployment_without_the_service_is_no_version_of_it(
    restate: Restate, mover: Mover
) -> None:
    del restate.services["Jobs"]

    with pytest.raises(SettingsError, match="knows no version of Jobs") as caught:
        await mover.move(OLD, dry_run=False)

    assert f"{NEW}, {OLD}" in caught.value.hint


async def test_a_deployment_that_is_removed_between_two_looks_is_no_version_of_it(
    restate: Restate, mover: Mover
) -> None:
    restate.forgotten = True

    with pytest.raises(SettingsError, match="knows no version of Jobs"):
        await mover.move(OLD, dry_run=False)


@pytest.mark.parametrize("uri", ["HTTP://OLD:9080/", f"{OLD}#here"])
async def test_an_old_version_is_found_however_its_url_is_spelled(
    restate: Restate, mover: Mover, uri: str
) -> None:
    assert (await mover.move(uri, dry_run=True)).old == OLD


async def test_a_version_that_became_the_latest_meanwhile_is_named_by_its_id(
    restate: Restate, mover: Mover
) -> None:
    restate.services["Jobs"] = "dp_newer"

    assert (await mover.move(OLD, dry_run=True)).latest == "dp_newer"


async def test_an_invocation_of_the_lock_is_moved_with_the_tenant_of_its_key(
    restate: Restate, mover: Mover
) -> None:
    restate.service = "JobsTenant"

    moved = await mover.move(OLD, dry_run=False)

    assert [(move.outcome, move.tenant) for move in moved.moves] == [(MoveOutcome.MOVED, "acme")]


async def test_jobs_of_the_latest_version_are_not_moved(restate: Restate, mover: Mover) -> None:
    with pytest.raises(SettingsError, match="is the latest version of Jobs") as caught:
        await mover.move(NEW, dry_run=False)

    assert "register --make-latest" in caught.value.hint
    assert restate.requests == []
