from collections.abc import AsyncIterator, Callable

import pytest
import pytest_asyncio
from pytest_httpserver import HTTPServer

from landlord_engines_core.errors import ExecutionEnded, Superseded
from landlord_engines_core.models import Record, Transition
from landlord_engines_restate.admin import AdminClient, AdminUnavailable
from landlord_engines_restate.lock.ordering import DispatchOrder, Holder, LockRequest, Verdict

LOCK_REQUEST = LockRequest(tenant="t", execution_id="inv_me", operation="update", is_uuid=True)
OTHER = Holder(execution_id="inv_old", since="2026-11-24T01:00:11+00:00", operation="update")
EARLIER, SLIGHTLY_LATER = "2026-11-24T01:00:10Z", "2026-11-24T01:00:10.045Z"
"""Restate leaves out a fraction of zero, so a comparison of texts would put the first time last."""
LATER = "2026-11-24T01:00:12Z"

ENDED = Record().with_end(
    Transition(execution_id="inv_old", operation="update", started_at="t", ended_at="u")
)

OrderWithAnswer = Callable[..., DispatchOrder]


@pytest_asyncio.fixture
async def order_with_answer(httpserver: HTTPServer) -> AsyncIterator[OrderWithAnswer]:
    """A factory of `DispatchOrder` with a Landlord that gives one answer about the tenant."""
    admin = AdminClient(httpserver.url_for("/"))

    def build_order(desired: bool | None) -> DispatchOrder:  # noqa: FBT001  # what Landlord says
        async def is_desired(tenant: str) -> bool | None:
            assert tenant == "t"
            return desired

        return DispatchOrder(admin=admin, is_desired=is_desired, replay=0.1)

    yield build_order
    await admin.aclose()


@pytest.fixture
def order(order_with_answer: OrderWithAnswer) -> DispatchOrder:
    return order_with_answer(None)


def respond_with_jobs(httpserver: HTTPServer, **created: tuple[str, str]) -> None:
    rows = [
        {
            "id": job,
            "created_at": at,
            "status": status.split()[0],
            **({"completion_result": status.split()[1]} if " " in status else {}),
        }
        for job, (at, status) in created.items()
    ]
    httpserver.expect_request("/query").respond_with_json({"rows": rows})


def received_queries(httpserver: HTTPServer) -> list[str]:
    return [request.get_json()["query"] for request, _ in httpserver.log]


@pytest.mark.parametrize(
    ("created", "verdict"),
    [
        (
            {"inv_me": (EARLIER, "running"), "inv_old": (SLIGHTLY_LATER, "completed success")},
            Verdict.SUPERSEDED,
        ),
        (
            {"inv_me": (EARLIER, "running"), "inv_old": (SLIGHTLY_LATER, "running")},
            Verdict.SUPERSEDED,
        ),
        (
            {"inv_me": (SLIGHTLY_LATER, "running"), "inv_old": (EARLIER, "completed success")},
            Verdict.FREE,
        ),
        ({"inv_me": (EARLIER, "running"), "inv_old": (EARLIER, "running")}, Verdict.RUNNING),
        (
            {"inv_me": (EARLIER, "running"), "inv_old": (SLIGHTLY_LATER, "completed failure")},
            Verdict.FREE,
        ),
        ({"inv_me": (EARLIER, "running")}, Verdict.SUPERSEDED),
        ({"inv_me": (LATER, "running")}, Verdict.FREE),
    ],
    ids=[
        "younger and done",
        "younger and running",
        "older and done",
        "as old and running",
        "younger and killed",
        "forgotten, acquired the lock after my dispatch",
        "forgotten, acquired the lock before my dispatch",
    ],
)
async def test_the_job_dispatched_last_wins_and_a_killed_one_loses(
    order: DispatchOrder,
    httpserver: HTTPServer,
    created: dict[str, tuple[str, str]],
    verdict: Verdict,
) -> None:
    respond_with_jobs(httpserver, **created)

    claim = await order.compare(LOCK_REQUEST, OTHER, Record())

    assert (claim.verdict, claim.dispatched) == (verdict, created["inv_me"][0])
    assert "FROM sys_invocation WHERE" in received_queries(httpserver)[0]


@pytest.mark.parametrize(
    ("dispatched", "verdict"), [(EARLIER, Verdict.SUPERSEDED), (LATER, Verdict.FREE)]
)
async def test_a_holder_whose_end_and_dispatch_are_written_down_is_not_asked_about(
    order: DispatchOrder, httpserver: HTTPServer, dispatched: str, verdict: Verdict
) -> None:
    respond_with_jobs(httpserver, inv_me=(dispatched, "running"))
    holder = Holder(
        execution_id="inv_old", since=LATER, dispatched=SLIGHTLY_LATER, operation="update"
    )

    assert (await order.compare(LOCK_REQUEST, holder, ENDED)).verdict == verdict

    (query,) = received_queries(httpserver)
    assert query.endswith("FROM sys_invocation_status WHERE id = 'inv_me'")


async def test_the_time_of_the_first_holder_is_read_once_a_second_job_arrives(
    order: DispatchOrder, httpserver: HTTPServer
) -> None:
    respond_with_jobs(
        httpserver, inv_me=(EARLIER, "running"), inv_old=(SLIGHTLY_LATER, "completed success")
    )

    assert (await order.compare(LOCK_REQUEST, OTHER, ENDED)).verdict == Verdict.SUPERSEDED

    assert "inv_old" in received_queries(httpserver)[0]


@pytest.mark.parametrize(
    ("desired", "verdict"),
    [(True, Verdict.FREE), (False, Verdict.SUPERSEDED), (None, Verdict.FREE)],
)
async def test_a_job_that_meets_a_delete_continues_if_landlord_wants_the_tenant(
    order_with_answer: OrderWithAnswer,
    httpserver: HTTPServer,
    desired: bool | None,  # noqa: FBT001  # what Landlord says
    verdict: Verdict,
) -> None:
    respond_with_jobs(httpserver, inv_me=(LATER, "running"))
    delete = Holder(execution_id="inv_old", since=LATER, dispatched=EARLIER, operation="delete")

    assert (
        await order_with_answer(desired).compare(LOCK_REQUEST, delete, ENDED)
    ).verdict == verdict


async def test_a_key_that_is_no_uuid_leaves_a_delete_to_the_time_of_dispatch(
    order_with_answer: OrderWithAnswer, httpserver: HTTPServer
) -> None:
    respond_with_jobs(httpserver, inv_me=(LATER, "running"))
    delete = Holder(execution_id="inv_old", since=LATER, dispatched=EARLIER, operation="delete")
    named = LockRequest(tenant="t", execution_id="inv_me", operation="update", is_uuid=False)

    assert (
        await order_with_answer(desired=False).compare(named, delete, ENDED)
    ).verdict == Verdict.FREE


@pytest.mark.parametrize(
    ("status", "verdict"), [("running", Verdict.RUNNING), ("completed failure", Verdict.FREE)]
)
async def test_a_resync_never_supersedes_a_job(
    order: DispatchOrder, httpserver: HTTPServer, status: str, verdict: Verdict
) -> None:
    respond_with_jobs(httpserver, inv_me=(EARLIER, "running"), inv_old=(SLIGHTLY_LATER, status))
    resync = Holder(execution_id="inv_old", since=SLIGHTLY_LATER, is_resync=True)

    assert (await order.compare(LOCK_REQUEST, resync, Record())).verdict == verdict


async def test_acquire_waits_for_a_holder_that_a_restarted_server_shows_late(
    order: DispatchOrder, httpserver: HTTPServer
) -> None:
    me = {"id": "inv_me", "created_at": EARLIER, "status": "running"}
    old = {"id": "inv_old", "created_at": SLIGHTLY_LATER, "status": "completed"}
    httpserver.expect_ordered_request("/query").respond_with_json({"rows": [me]})
    httpserver.expect_ordered_request("/query").respond_with_json({"rows": [me, old]})

    assert (await order.compare(LOCK_REQUEST, OTHER, Record())).verdict == Verdict.SUPERSEDED


async def test_without_the_row_of_the_asking_job_nothing_is_decided(
    order: DispatchOrder, httpserver: HTTPServer
) -> None:
    respond_with_jobs(httpserver, inv_old=(EARLIER, "completed"))

    with pytest.raises(AdminUnavailable, match="does not show this job"):
        await order.compare(LOCK_REQUEST, OTHER, Record())


@pytest.mark.parametrize("status", ["backing-off", "paused"])
async def test_a_frozen_holder_is_killed(
    order: DispatchOrder, httpserver: HTTPServer, status: str
) -> None:
    respond_with_jobs(httpserver, inv_me=(SLIGHTLY_LATER, "running"), inv_old=(EARLIER, status))
    httpserver.expect_oneshot_request("/invocations/inv_old/kill", "PATCH").respond_with_data("")

    assert (await order.compare(LOCK_REQUEST, OTHER, Record())).verdict == Verdict.FREE

    httpserver.check_assertions()


async def test_a_running_holder_is_killed_after_its_time_to_end(
    order: DispatchOrder, httpserver: HTTPServer
) -> None:
    respond_with_jobs(httpserver, inv_me=(SLIGHTLY_LATER, "running"), inv_old=(EARLIER, "running"))
    httpserver.expect_oneshot_request("/invocations/inv_old/kill", "PATCH").respond_with_data("")

    assert (
        await order.compare(LOCK_REQUEST, OTHER, Record(), kill_running=True)
    ).verdict == Verdict.FREE

    httpserver.check_assertions()


async def test_without_a_holder_nothing_is_checked(order: DispatchOrder) -> None:
    await order.check_current("inv_me", None, Record())


async def test_a_living_job_with_the_lock_may_continue(
    order: DispatchOrder, httpserver: HTTPServer
) -> None:
    respond_with_jobs(httpserver, inv_old=(EARLIER, "invoked"))

    await order.check_current("inv_old", OTHER, Record())


async def test_a_killed_job_without_a_successor_learns_that_it_ended(
    order: DispatchOrder, httpserver: HTTPServer
) -> None:
    respond_with_jobs(httpserver, inv_old=(EARLIER, "completed failure"))

    with pytest.raises(ExecutionEnded, match="no later job has the lock"):
        await order.check_current("inv_old", OTHER, Record())


@pytest.mark.parametrize(
    "me", [(EARLIER, "invoked"), (LATER, "completed failure")], ids=["older", "younger, but killed"]
)
async def test_a_job_that_lost_its_lock_may_not_continue(
    order: DispatchOrder, httpserver: HTTPServer, me: tuple[str, str]
) -> None:
    respond_with_jobs(httpserver, inv_me=me, inv_old=(SLIGHTLY_LATER, "invoked"))

    with pytest.raises(Superseded) as raised:
        await order.check_current("inv_me", OTHER, Record())
    assert type(raised.value) is Superseded


async def test_a_job_that_waits_for_an_older_one_may_continue(
    order: DispatchOrder, httpserver: HTTPServer
) -> None:
    respond_with_jobs(httpserver, inv_me=(LATER, "invoked"), inv_old=(SLIGHTLY_LATER, "invoked"))

    await order.check_current("inv_me", OTHER, Record())


@pytest.mark.parametrize(
    ("status", "has_failed"),
    [("invoked", False), ("completed success", False), ("completed failure", True)],
)
async def test_the_end_of_an_invocation_is_read_from_its_row(
    order: DispatchOrder, httpserver: HTTPServer, status: str, *, has_failed: bool
) -> None:
    respond_with_jobs(httpserver, inv_me=(EARLIER, status))

    assert await order.has_failed("inv_me") == has_failed


async def test_a_job_that_restate_has_forgotten_counts_as_killed(
    order: DispatchOrder, httpserver: HTTPServer
) -> None:
    respond_with_jobs(httpserver)

    assert await order.has_failed("inv_me")
