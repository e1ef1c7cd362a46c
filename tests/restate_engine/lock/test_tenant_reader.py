"""Reads of all tenants from rows as Restate shows them; tests/e2e/test_tenants.py has a real one."""

import json
from collections.abc import AsyncIterator, Iterable
from typing import Any

import attrs
import pytest
import pytest_asyncio
from pytest_httpserver import HTTPServer
from werkzeug import Request, Response

from landlord_engines_core.engine import JobState, OpenJob, TenantStatus
from landlord_engines_core.errors import EngineFailed
from landlord_engines_restate.admin import AdminClient, AdminRefused, AdminUnavailable
from landlord_engines_restate.lock import tenant_reader
from landlord_engines_restate.lock.tenant_reader import TenantReader
from landlord_engines_restate.settings import Names

BEGAN = "2026-01-01T00:00:00Z"
WAITS = "[500 Internal] LE402: no (tenant {})"
RUNNING: dict[str, object] = {"status": "running", "created_at": BEGAN}


def transition(job: str, outcome: str = "") -> dict[str, Any]:
    ended = BEGAN if outcome else None
    return {
        "execution_id": job,
        "operation": "update",
        "started_at": BEGAN,
        "ended_at": ended,
        "outcome": outcome,
    }


def lock(job: str, outcome: str = "") -> dict[str, str]:
    """Build the entry of a lock whose holder has this outcome, or has not ended."""
    record = {"transitions": [transition(job, outcome)], "name": f"name of {job}"}
    holder = {"execution_id": job, "since": BEGAN}
    return {"key": "lock", "text": json.dumps({"holder": holder, "record": record})}


def past(*transitions: dict[str, Any]) -> dict[str, str]:
    return {"key": "past", "text": "\n".join(map(json.dumps, transitions))}


def body(tenant: str) -> str:
    payload = list(json.dumps({"tenant_uuid": tenant, "operation": "update"}).encode())
    return json.dumps({"Command": {"Input": {"payload": payload}}})


@attrs.define
class Restate:
    """A server that answers queries from these tables.

    Attributes:
        state: Entries by tenant.
        jobs: Rows of open jobs, by id.
        holders: Rows that only a later query for their ids shows.
        bodies: First entries of journals, by job.
    """

    state: dict[str, list[dict[str, str]]] = attrs.field(factory=dict)
    jobs: dict[str, dict[str, object]] = attrs.field(factory=dict)
    holders: dict[str, dict[str, object]] = attrs.field(factory=dict)
    bodies: dict[str, str] = attrs.field(factory=dict)
    queries: list[str] = attrs.field(factory=list)

    def answer(self, request: Request) -> Response:
        query = request.get_json()["query"]
        self.queries.append(query)
        rows = {"rows": list(self._rows(query))}
        # As Restate writes it.
        text = json.dumps(rows, separators=(",", ":"))
        return Response(text, content_type="application/json")

    def _rows(self, query: str) -> Iterable[dict[str, object]]:
        if " FROM state" in query:
            return [
                {"service_key": tenant, **entry}
                for tenant, entries in self.state.items()
                for entry in entries
                if "service_key = " not in query or f"service_key = '{tenant}'" in query
            ]
        if " FROM sys_journal" in query:
            return [
                {"id": job, "entry_json": entry}
                for job, entry in self.bodies.items()
                if f"'{job}'" in query
            ]
        if "completion_result" in query:
            return [{"id": job, **row} for job, row in self.holders.items() if f"'{job}'" in query]
        return [{"id": job, **row} for job, row in self.jobs.items()]


@pytest.fixture
def restate(httpserver: HTTPServer) -> Restate:
    restate = Restate()
    httpserver.expect_request("/query").respond_with_handler(restate.answer)
    return restate


@pytest_asyncio.fixture
async def reader(httpserver: HTTPServer) -> AsyncIterator[TenantReader]:
    admin = AdminClient(httpserver.url_for(""))
    yield TenantReader(admin=admin, names=Names("Jobs", "Jobs"))
    await admin.aclose()


async def list_all(reader: TenantReader) -> list[TenantStatus]:
    return [status async for status in reader.list_all()]


def summarize(status: TenantStatus) -> tuple[str, str, str]:
    return status.tenant, status.state, status.outcome


async def test_tenants_with_and_without_a_record_are_listed_once_in_the_order_of_their_keys(
    reader: TenantReader, restate: Restate
) -> None:
    restate.state = {
        "b": [lock("1", "created"), past()],
        "d": [lock("2"), past(transition("0", "created"))],
        "e": [lock("3", "updated"), past(transition("0", "created"))],
    }
    held: dict[str, object] = {"status": "backing-off", "created_at": BEGAN}
    restate.jobs = {
        "2": {**held, "last_failure": WAITS.format("d")},
        "4": {**held, "last_failure": WAITS.format("a")},
        "5": {**held, "last_failure": WAITS.format("c")},
        "6": {**held, "last_failure": WAITS.format("f")},
    }

    statuses = await list_all(reader)

    assert [summarize(status) for status in statuses] == [
        ("a", "held", ""),
        ("b", "idle", "created"),
        ("c", "held", ""),
        ("d", "held", "created"),
        ("e", "idle", "updated"),
        ("f", "held", ""),
    ]
    assert statuses[1].record.name == "name of 1"


async def test_the_tenant_of_a_job_without_a_failure_of_ours_is_read_from_its_body(
    reader: TenantReader, restate: Restate
) -> None:
    restate.state = {"a": [lock("1", "created")]}
    restate.jobs = {
        "2": RUNNING,
        "3": {"status": "backing-off", "created_at": BEGAN, "last_failure_error_code": "RT0010"},
        "4": RUNNING,
        "5": RUNNING,
    }
    no_job = json.dumps({"Command": {"Input": {"payload": []}}})
    restate.bodies = {"2": body("a"), "3": body("b"), "4": no_job}

    # Restate has forgotten job 5, and nobody knows the tenant of job 4.
    restate.jobs.pop("5")
    statuses = await list_all(reader)

    assert [summarize(status) for status in statuses] == [
        ("a", "running", "created"),
        ("b", "retrying", ""),
    ]


async def test_a_job_that_ended_or_began_during_the_reading_is_described_by_its_row(
    reader: TenantReader, restate: Restate, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(tenant_reader, "BATCH", 2)
    restate.state = {tenant: [lock(f"job-{tenant}")] for tenant in ("a", "b", "c", "d", "e")}
    done: dict[str, object] = {"status": "completed", "created_at": BEGAN}
    restate.holders = {
        "job-a": {**done, "completion_result": "failure"},
        "job-b": {**done, "completion_result": "success"},
        "job-c": RUNNING,
    }

    statuses = await list_all(reader)

    assert [summarize(status) for status in statuses] == [
        ("a", "idle", "killed"),
        ("b", "running", ""),
        ("c", "running", ""),
        ("d", "idle", "killed"),
        ("e", "idle", "killed"),
    ]
    assert statuses[1].reason == "it has ended, and its end is not in the record yet"


async def test_a_tenant_is_read_with_its_whole_history_and_the_holder_first(
    reader: TenantReader, restate: Restate
) -> None:
    restate.state = {
        "a": [lock("2"), past(transition("0", "created"), transition("1", "updated"))],
        "b": [lock("9", "created")],
    }
    paused: dict[str, object] = {"status": "paused", "created_at": BEGAN}
    waits = {**paused, "last_failure": WAITS.format("a")}
    restate.jobs = {"1": waits, "2": waits}

    status = await reader.read("a")

    assert [each.outcome for each in status.record.transitions] == ["created", "updated", ""]
    assert status.jobs == tuple(
        OpenJob(execution_id=job, state=JobState.PAUSED, since=BEGAN, code="LE402", reason="no")
        for job in ("2", "1")
    )
    assert not (await reader.read("nobody")).is_known


async def test_a_state_of_another_program_is_an_error(
    reader: TenantReader, restate: Restate
) -> None:
    restate.state = {"a": [{"key": "lock", "text": "[]"}]}

    with pytest.raises(EngineFailed, match="the state of JobsTenant on Restate"):
        await list_all(reader)


async def test_a_job_whose_first_entry_has_another_form_is_an_error(
    reader: TenantReader, restate: Restate
) -> None:
    restate.jobs, restate.bodies = {"1": RUNNING}, {"1": "{}"}

    with pytest.raises(EngineFailed, match="shows the input of 1 in another form"):
        await list_all(reader)


@pytest.mark.parametrize(
    ("status", "text", "error"),
    [
        (400, '{"message": "no such table"}', AdminRefused),
        (200, '{"rows":[{"a":1}', AdminUnavailable),
    ],
)
async def test_a_refused_or_broken_list_is_an_error(
    httpserver: HTTPServer, status: int, text: str, error: type[Exception]
) -> None:
    httpserver.expect_request("/query").respond_with_data(text, status=status)
    admin = AdminClient(httpserver.url_for(""))

    with pytest.raises(error):
        _ = [row async for row in admin.stream_rows("SELECT 1")]
    await admin.aclose()


async def test_a_server_that_is_away_gives_no_list() -> None:
    admin = AdminClient("http://127.0.0.1:9")

    with pytest.raises(AdminUnavailable):
        _ = [row async for row in admin.stream_rows("SELECT 1")]
    await admin.aclose()
