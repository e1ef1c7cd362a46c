"""Dispatches, polls and kills as Landlord does them; test_recordings.py replays the recorded ones."""

from collections.abc import AsyncIterator
from contextlib import aclosing

import pytest
import pytest_asyncio
from pytest_httpserver import HTTPServer

from landlord_engines_core.errors import EngineFailed
from landlord_engines_core.models import PolledExecution, PolledState
from landlord_engines_restate.admin import AdminClient, AdminRefused
from landlord_engines_restate.local.dispatcher import RestateDispatcher

SERVICE = {"name": "TenantProvisioning", "deployment_id": "dp_1", "revision": 1}
SEND = "/TenantProvisioning/execute/send"


@pytest_asyncio.fixture
async def dispatcher(httpserver: HTTPServer) -> AsyncIterator[RestateDispatcher]:
    url = httpserver.url_for("").rstrip("/")
    admin = AdminClient(url)
    yield RestateDispatcher(ingress=url, admin=admin, service="TenantProvisioning")
    await admin.aclose()


@pytest.fixture
def registered(httpserver: HTTPServer) -> HTTPServer:
    httpserver.expect_request("/services/TenantProvisioning").respond_with_json(SERVICE)
    return httpserver


async def test_a_body_that_nobody_can_read_is_sent_as_it_is(
    registered: HTTPServer, dispatcher: RestateDispatcher
) -> None:
    registered.expect_request(SEND, data="{nope").respond_with_json({"invocationId": "inv_1"}, 202)

    assert await dispatcher.dispatch(b"{nope") == "inv_1"


async def test_nothing_is_sent_while_the_service_is_not_registered(
    httpserver: HTTPServer, dispatcher: RestateDispatcher
) -> None:
    httpserver.expect_request("/services/TenantProvisioning").respond_with_json(
        {"message": "not found"}, status=404
    )

    with pytest.raises(EngineFailed, match="TenantProvisioning is not registered yet"):
        await dispatcher.dispatch(b"{}")

    assert len(httpserver.log) == 1


@pytest.mark.parametrize(
    ("status", "body", "message"),
    [
        (404, "", "status 404"),
        (200, "<html>", "unexpected response"),
        (200, " " * (1 << 20), "more than 65536 bytes"),
    ],
    ids=["refused", "something else", "without end"],
)
async def test_an_ingress_that_does_not_answer_as_restate_does_is_an_error(
    registered: HTTPServer, dispatcher: RestateDispatcher, status: int, body: str, message: str
) -> None:
    registered.expect_request(SEND).respond_with_data(body, status=status)

    with pytest.raises(EngineFailed, match=message):
        await dispatcher.dispatch(b"{}")


async def test_an_ingress_that_is_not_there_is_an_error(registered: HTTPServer) -> None:
    async with aclosing(AdminClient(registered.url_for(""))) as admin:
        dispatcher = RestateDispatcher(
            ingress="http://127.0.0.1:9", admin=admin, service="TenantProvisioning"
        )

        with pytest.raises(EngineFailed, match=r"http://127\.0\.0\.1:9"):
            await dispatcher.dispatch(b"{}")


@pytest.mark.parametrize(
    ("status", "expected"),
    [
        ("pending", "pending"),
        ("scheduled", "running"),
        ("ready", "running"),
        ("running", "running"),
        ("backing-off", "backing-off"),
        ("suspended", "waiting"),
        ("paused", "running"),
        ("completed", "succeeded"),
        ("failed", "failed"),
        ("error", "failed"),
    ],
)
async def test_each_status_is_mapped_as_in_landlords_code(
    httpserver: HTTPServer, dispatcher: RestateDispatcher, status: str, expected: str
) -> None:
    httpserver.expect_request("/query").respond_with_json({"rows": [{"status": status}]})

    polled = await dispatcher.poll("inv_1")

    assert polled == PolledExecution(state=PolledState(expected))


async def test_landlord_takes_a_failed_execution_for_a_success(
    httpserver: HTTPServer, dispatcher: RestateDispatcher
) -> None:
    row = {"status": "completed", "completion_result": "failure", "completion_failure": "[409] x"}
    httpserver.expect_request("/query").respond_with_json({"rows": [row]})

    assert await dispatcher.poll("inv_1") == PolledExecution(state=PolledState.SUCCEEDED)


async def test_a_kill_that_is_refused_is_an_error(
    httpserver: HTTPServer, dispatcher: RestateDispatcher
) -> None:
    httpserver.expect_request("/invocations/x/kill").respond_with_json(
        {"message": "bad id"}, status=400
    )

    with pytest.raises(AdminRefused):
        await dispatcher.kill("x")
