from collections.abc import AsyncIterator

import pytest
import pytest_asyncio
from pytest_httpserver import HTTPServer

from landlord_engines_core.models import Record, Transition
from landlord_engines_restate.admin import AdminClient, AdminUnavailable
from landlord_engines_restate.rivals import Holder, Rivals, Verdict

LONG_AGO = Holder(execution_id="inv_old", since="2020-01-01T00:00:00+00:00")
FIRST, SECOND = "2026-11-24T01:00:10Z", "2026-11-24T01:00:10.045Z"
"""As text the first would be the later one: Restate leaves out a fraction that is zero."""

ENDED = Record().ended(
    Transition(execution_id="inv_old", operation="update", started_at="t", ended_at="u")
)


@pytest_asyncio.fixture
async def rivals(httpserver: HTTPServer) -> AsyncIterator[Rivals]:
    admin = AdminClient(httpserver.url_for("/"))
    yield Rivals(admin=admin, replay=0.1)
    await admin.aclose()


def shows(httpserver: HTTPServer, **created: tuple[str, str]) -> None:
    rows = [
        {"id": one, "created_at": at, "status": status} for one, (at, status) in created.items()
    ]
    httpserver.expect_request("/query").respond_with_json({"rows": rows})


async def test_a_holder_that_ended_long_ago_is_not_asked_about(rivals: Rivals) -> None:
    claim = await rivals.claim("inv_me", LONG_AGO, ENDED)

    assert claim.verdict == Verdict.FREE


async def test_a_holder_from_long_ago_without_an_end_is_asked_about(
    rivals: Rivals, httpserver: HTTPServer
) -> None:
    shows(httpserver, inv_me=(SECOND, "running"), inv_old=(FIRST, "running"))

    claim = await rivals.claim("inv_me", LONG_AGO, Record())

    assert claim.verdict == Verdict.RUNNING


@pytest.mark.parametrize(
    ("created", "verdict"),
    [
        ({"inv_me": (FIRST, "running"), "inv_old": (SECOND, "completed")}, Verdict.SUPERSEDED),
        ({"inv_me": (SECOND, "running"), "inv_old": (FIRST, "completed")}, Verdict.FREE),
        ({"inv_me": (FIRST, "running"), "inv_old": (FIRST, "running")}, Verdict.RUNNING),
        ({"inv_me": (FIRST, "running")}, Verdict.FREE),
    ],
)
async def test_the_one_dispatched_last_wins_and_what_is_forgotten_has_lost(
    rivals: Rivals, httpserver: HTTPServer, created: dict[str, tuple[str, str]], verdict: Verdict
) -> None:
    shows(httpserver, **created)

    assert (await rivals.claim("inv_me", LONG_AGO, Record())).verdict == verdict


@pytest.mark.parametrize(
    ("status", "verdict"), [("running", Verdict.RUNNING), ("completed", Verdict.FREE)]
)
async def test_what_settles_beats_no_job_whenever_it_was_sent(
    rivals: Rivals, httpserver: HTTPServer, status: str, verdict: Verdict
) -> None:
    shows(httpserver, inv_me=(FIRST, "running"), inv_old=(SECOND, status))
    settling = Holder(execution_id="inv_old", since="2020-01-01T00:00:00+00:00", settles=True)

    assert (await rivals.claim("inv_me", settling, Record())).verdict == verdict


async def test_a_holder_that_a_restarted_server_shows_late_is_waited_for(
    rivals: Rivals, httpserver: HTTPServer
) -> None:
    me = {"id": "inv_me", "created_at": FIRST, "status": "running"}
    old = {"id": "inv_old", "created_at": SECOND, "status": "completed"}
    httpserver.expect_ordered_request("/query").respond_with_json({"rows": [me]})
    httpserver.expect_ordered_request("/query").respond_with_json({"rows": [me, old]})

    assert (await rivals.claim("inv_me", LONG_AGO, Record())).verdict == Verdict.SUPERSEDED


async def test_a_server_that_does_not_show_the_asking_job_decides_nothing(
    rivals: Rivals, httpserver: HTTPServer
) -> None:
    shows(httpserver, inv_old=(FIRST, "completed"))

    with pytest.raises(AdminUnavailable, match="does not show this very job"):
        await rivals.claim("inv_me", LONG_AGO, Record())


@pytest.mark.parametrize("status", ["backing-off", "paused"])
async def test_a_holder_that_stands_still_is_killed(
    rivals: Rivals, httpserver: HTTPServer, status: str
) -> None:
    shows(httpserver, inv_me=(SECOND, "running"), inv_old=(FIRST, status))
    httpserver.expect_oneshot_request("/invocations/inv_old/kill", "PATCH").respond_with_data("")

    assert (await rivals.claim("inv_me", LONG_AGO, Record())).verdict == Verdict.FREE

    httpserver.check_assertions()


async def test_without_a_holder_the_turn_is_free(rivals: Rivals) -> None:
    assert (await rivals.claim("inv_me", None, Record())).verdict == Verdict.FREE
    assert (await rivals.claim("inv_old", LONG_AGO, Record())).verdict == Verdict.FREE
    await rivals.check("inv_me", None)
