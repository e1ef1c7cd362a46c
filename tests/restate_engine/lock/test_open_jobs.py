import json
from collections.abc import AsyncIterator

import pytest
import pytest_asyncio
from pytest_httpserver import HTTPServer
from werkzeug import Request, Response

from landlord_engines_core.engine import JobState, OpenJob
from landlord_engines_restate.admin import AdminClient
from landlord_engines_restate.lock.open_jobs import OpenJobs

ROW: dict[str, object] = {
    "id": "inv_1",
    "status": "backing-off",
    "created_at": "2026-01-01T00:00:00Z",
}


@pytest_asyncio.fixture
async def open_jobs(httpserver: HTTPServer) -> AsyncIterator[OpenJobs]:
    admin = AdminClient(httpserver.url_for(""))
    yield OpenJobs(admin)
    await admin.aclose()


def respond_with_rows(
    httpserver: HTTPServer, *rows: dict[str, object], failing: tuple[str, ...] = ()
) -> list[str]:
    """Make Restate show these rows and failing jobs, and return the list of received queries."""
    queries: list[str] = []

    def answer(request: Request) -> Response:
        queries.append(json.loads(request.get_data())["query"])
        memory = "sys_invocation_state" in queries[-1]
        answer = [{"id": job} for job in failing] if memory else list(rows)
        return Response(json.dumps({"rows": answer}), content_type="application/json")

    httpserver.expect_request("/query").respond_with_handler(answer)
    return queries


@pytest.mark.parametrize(
    ("row", "expected"),
    [
        (
            {"last_failure": "[500] LE402: no; do (tenant t)"},
            ("held", "LE402", "no; do"),
        ),
        ({"last_failure": "[500] LE403: away"}, ("retrying", "LE403", "away")),
        ({"last_failure": "[500] LE407: later"}, ("queued", "LE407", "later")),
        ({"last_failure": "[500] LE408: it waits"}, ("set-apart", "LE408", "it waits")),
        ({"last_failure": "boom", "last_failure_error_code": "RT0010"}, ("retrying", "RT0010", "")),
        ({"status": "running"}, ("running", "", "")),
        ({"status": "suspended"}, ("running", "", "")),
        ({"status": "running", "last_failure": "LE402: no"}, ("running", "LE402", "no")),
        ({"status": "paused", "last_failure": "LE403: away"}, ("paused", "LE403", "away")),
    ],
)
async def test_a_job_is_shown_with_its_last_attempt_in_restate(
    open_jobs: OpenJobs,
    httpserver: HTTPServer,
    row: dict[str, object],
    expected: tuple[str, str, str],
) -> None:
    state, code, reason = expected
    respond_with_rows(httpserver, {**ROW, "retry_count": 3, "next_retry_at": "later", **row})

    assert await open_jobs.list_jobs("t", "inv_1") == (
        OpenJob(
            execution_id="inv_1",
            state=JobState(state),
            since="2026-01-01T00:00:00Z",
            attempts=3,
            code=code,
            reason=reason,
            next_try_at="later",
        ),
    )


async def test_a_job_without_the_lock_is_found_by_the_tenant_in_its_error(
    open_jobs: OpenJobs, httpserver: HTTPServer
) -> None:
    queries = respond_with_rows(httpserver, {**ROW, "id": "inv_2"}, failing=("inv_2",))

    (job,) = await open_jobs.list_jobs("o'brien", "")

    assert (job.execution_id, job.attempts) == ("inv_2", 0)
    assert "'(tenant o''brien)'" in queries[0]


async def test_the_job_that_has_the_lock_comes_first_and_once(
    open_jobs: OpenJobs, httpserver: HTTPServer
) -> None:
    first, second = {**ROW, "id": "inv_0"}, {**ROW, "id": "inv_1"}
    respond_with_rows(httpserver, first, second, failing=("inv_0", "inv_1"))

    assert [job.execution_id for job in await open_jobs.list_jobs("t", "inv_1")] == [
        "inv_1",
        "inv_0",
    ]


async def test_without_open_jobs_restate_is_asked_once(
    open_jobs: OpenJobs, httpserver: HTTPServer
) -> None:
    queries = respond_with_rows(httpserver)

    assert await open_jobs.list_jobs("t", "") == ()
    assert len(queries) == 1


async def test_a_job_that_has_ended_meanwhile_is_not_shown(
    open_jobs: OpenJobs, httpserver: HTTPServer
) -> None:
    respond_with_rows(httpserver)

    assert await open_jobs.list_jobs("t", "inv_1") == ()


async def test_without_the_admin_api_open_jobs_are_reported_as_unknown(
    open_jobs: OpenJobs, httpserver: HTTPServer
) -> None:
    httpserver.expect_request("/query").respond_with_data("no", status=503)

    (job,) = await open_jobs.list_jobs("t", "inv_1")

    assert (job.execution_id, job.state, job.code) == ("inv_1", "unknown", "LE321")
