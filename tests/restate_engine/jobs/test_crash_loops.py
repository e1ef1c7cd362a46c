import json
from collections.abc import AsyncIterator, Mapping

import attrs
import pytest
import pytest_asyncio
from pytest_httpserver import HTTPServer

from landlord_engines_core.steps import NONE_LOST, LostAttempts
from landlord_engines_restate.admin import AdminClient
from landlord_engines_restate.jobs import attempts
from landlord_engines_restate.jobs.attempts import Attempt
from landlord_engines_restate.jobs.crash_loops import AttemptLosses
from landlord_test_target.in_memory import RecordingLogger

LOST = {
    "error_message": "unexpected error while reading the response body: error reading a body from"
    " connection",
    "restate_doc_error_code": "RT0010",
}
AWAY = {
    "error_message": "error when calling 'http://w/': unable to reach the remote endpoint.\nReason:"
    " client error (Connect)",
    "restate_doc_error_code": "RT0010",
}
ANSWER = {"error_message": "LE408: the worker ended", "restate_doc_error_code": "RT0007"}
FAILED = {"error_message": "LE403: no answer", "restate_doc_error_code": "RT0007"}


@pytest_asyncio.fixture
async def attempt_losses(httpserver: HTTPServer) -> AsyncIterator[AttemptLosses]:
    admin = AdminClient(httpserver.url_for("/"))
    yield AttemptLosses(admin=admin, logger=RecordingLogger(), limit=2)
    await admin.aclose()


@pytest.fixture
def attempt(monkeypatch: pytest.MonkeyPatch) -> list[Attempt | None]:
    now: list[Attempt | None] = [Attempt(entries=2, retries=1)]
    monkeypatch.setattr(attempts, "current_attempt", lambda: now[0])
    return now


def respond_with_failures(httpserver: HTTPServer, *failures: Mapping[str, str]) -> None:
    rows = [{"event_json": json.dumps({"ty": "TransientError", **failure})} for failure in failures]
    httpserver.expect_request("/query").respond_with_json({"rows": rows})


@pytest.mark.usefixtures("attempt")
@pytest.mark.parametrize(
    ("failures", "expected"),
    [
        ((), LostAttempts(count=0, is_new=False)),
        ((AWAY,), LostAttempts(count=0, is_new=False)),
        ((LOST,), LostAttempts(count=1, is_new=True)),
        ((LOST, AWAY), LostAttempts(count=1, is_new=True)),
        ((LOST, ANSWER), LostAttempts(count=1, is_new=False)),
        ((LOST, ANSWER, AWAY), LostAttempts(count=1, is_new=False)),
        ((LOST, ANSWER, LOST, AWAY, ANSWER, LOST), LostAttempts(count=3, is_new=True)),
        ((LOST, ANSWER, LOST, FAILED), LostAttempts(count=0, is_new=False)),
        ((LOST, ANSWER, FAILED, LOST), LostAttempts(count=1, is_new=True)),
    ],
)
async def test_the_number_of_lost_attempts_is_read_from_restates_failures(
    attempt_losses: AttemptLosses,
    httpserver: HTTPServer,
    failures: tuple[Mapping[str, str], ...],
    expected: LostAttempts,
) -> None:
    respond_with_failures(httpserver, *failures)

    assert await attempt_losses.count("inv_1") == attrs.evolve(expected, is_retry=True)


@pytest.mark.usefixtures("attempt")
async def test_only_failures_since_the_last_entry_of_this_very_job_are_asked_for(
    attempt_losses: AttemptLosses, httpserver: HTTPServer
) -> None:
    respond_with_failures(httpserver)

    await attempt_losses.count("inv_1")

    (request,) = (request for request, _ in httpserver.log)
    query = request.get_json()["query"]
    assert "id = 'inv_1'" in query
    assert "after_journal_entry_index = 1" in query


@pytest.mark.parametrize("first", [None, Attempt(entries=2, retries=0)])
async def test_a_first_attempt_asks_nothing(
    attempt_losses: AttemptLosses,
    httpserver: HTTPServer,
    attempt: list[Attempt | None],
    first: Attempt | None,
) -> None:
    attempt[0] = first

    attempt_losses.note_end("inv_0")
    assert await attempt_losses.count("inv_1") == NONE_LOST

    assert httpserver.log == []


async def test_an_attempt_after_one_that_ended_here_asks_nothing(
    attempt_losses: AttemptLosses, httpserver: HTTPServer, attempt: list[Attempt | None]
) -> None:
    respond_with_failures(httpserver, LOST)
    attempt_losses.note_end("inv_1")

    attempt[0] = Attempt(entries=2, retries=2)
    assert await attempt_losses.count("inv_1") == LostAttempts(is_retry=True)
    assert httpserver.log == []

    # Another worker ran an attempt meanwhile.
    attempt[0] = Attempt(entries=2, retries=3)
    assert (await attempt_losses.count("inv_1")).count == 1


async def test_the_job_that_ended_here_longest_ago_is_forgotten_first(
    attempt_losses: AttemptLosses, httpserver: HTTPServer, attempt: list[Attempt | None]
) -> None:
    respond_with_failures(httpserver)
    for name in ("inv_1", "inv_2", "inv_1", "inv_3"):
        attempt_losses.note_end(name)
    attempt[0] = Attempt(entries=2, retries=2)

    for name in ("inv_1", "inv_3"):
        await attempt_losses.count(name)
    assert httpserver.log == []
    await attempt_losses.count("inv_2")
    assert len(httpserver.log) == 1


@pytest.mark.usefixtures("attempt")
@pytest.mark.parametrize("answer", ["down", '{"rows": [{}]}'])
async def test_a_job_continues_if_its_lost_attempts_are_unknown(
    attempt_losses: AttemptLosses, httpserver: HTTPServer, answer: str
) -> None:
    httpserver.expect_request("/query").respond_with_data(answer)

    assert await attempt_losses.count("inv_1") == LostAttempts(is_retry=True)

    assert isinstance(attempt_losses.logger, RecordingLogger)
    assert attempt_losses.logger.events("warning") == ["lost attempts cannot be counted"]
