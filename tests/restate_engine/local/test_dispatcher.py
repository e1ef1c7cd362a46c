"""Landlord's recorded requests, byte by byte, and what Landlord makes of the answers."""

import json
from collections.abc import AsyncIterator
from contextlib import aclosing
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pytest
import pytest_asyncio
from pytest_httpserver import HTTPServer

from landlord_engines_core.errors import EngineFailed
from landlord_engines_restate.admin import AdminClient, AdminRefused
from landlord_engines_restate.local.dispatcher import RestateDispatcher

WIRE = Path(__file__).parents[2] / "data" / "landlord-wire"
DISPATCHES: list[dict[str, Any]] = json.loads((WIRE / "restate-dispatch.json").read_text())
POLLS: list[dict[str, Any]] = [
    exchange
    for exchange in json.loads((WIRE / "restate-polling.json").read_text())
    if exchange["request"]["path"] == "/query"
]
KILLS: list[dict[str, Any]] = [
    exchange
    for exchange in json.loads((WIRE / "restate-polling.json").read_text())
    if exchange["request"]["method"] == "PATCH"
]
SERVICE = {"name": "TenantProvisioning", "deployment_id": "dp_1", "revision": 1}
SEND = "/TenantProvisioning/execute/send"

AS_LANDLORD_READS = {
    "paused": ("running", "running"),
    "backing-off": ("running", "backing-off"),
    "running": ("running", "running"),
    "completed": ("succeeded", "succeeded"),
    "suspended": ("running", "waiting"),
}


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


@pytest.mark.parametrize("exchange", DISPATCHES)
async def test_a_dispatch_is_what_landlord_was_recorded_to_send(
    registered: HTTPServer, dispatcher: RestateDispatcher, exchange: dict[str, Any]
) -> None:
    request, response = exchange["request"], exchange["response"]
    path, _, query = request["path"].partition("?")
    registered.expect_request(
        path,
        method="POST",
        query_string=query,
        data=request["body_raw"],
        headers={"Content-Type": request["headers"]["Content-Type"]},
    ).respond_with_json(response["body"], status=response["status"])

    execution_id = await dispatcher.dispatch(request["body_raw"].encode())

    assert execution_id == response["body"]["invocationId"]
    sent = registered.log[-1][0]
    assert urlsplit(sent.url).query == query


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


async def test_an_ingress_that_does_not_take_the_job_is_an_error(
    registered: HTTPServer, dispatcher: RestateDispatcher
) -> None:
    registered.expect_request(SEND).respond_with_data("", status=404)

    with pytest.raises(EngineFailed, match="status 404"):
        await dispatcher.dispatch(b"{}")


async def test_an_ingress_that_answers_something_else_is_an_error(
    registered: HTTPServer, dispatcher: RestateDispatcher
) -> None:
    registered.expect_request(SEND).respond_with_data("<html>", status=200)

    with pytest.raises(EngineFailed, match="unexpected response"):
        await dispatcher.dispatch(b"{}")


async def test_an_ingress_that_answers_without_end_is_an_error(
    registered: HTTPServer, dispatcher: RestateDispatcher
) -> None:
    registered.expect_request(SEND).respond_with_data(" " * (1 << 20), status=200)

    with pytest.raises(EngineFailed, match="more than 65536 bytes"):
        await dispatcher.dispatch(b"{}")


async def test_an_ingress_that_is_not_there_is_an_error(registered: HTTPServer) -> None:
    async with aclosing(AdminClient(registered.url_for(""))) as admin:
        dispatcher = RestateDispatcher(
            ingress="http://127.0.0.1:9", admin=admin, service="TenantProvisioning"
        )

        with pytest.raises(EngineFailed, match=r"http://127\.0\.0\.1:9"):
            await dispatcher.dispatch(b"{}")


@pytest.mark.parametrize("exchange", POLLS)
async def test_a_state_is_asked_for_and_read_as_landlord_does(
    httpserver: HTTPServer, dispatcher: RestateDispatcher, exchange: dict[str, Any]
) -> None:
    request, response = exchange["request"], exchange["response"]
    execution_id = request["body"]["query"].split("'")[1]
    httpserver.expect_request(
        "/query", method="POST", json=request["body"], headers={"Accept": "application/json"}
    ).respond_with_json(response["body"])

    state = await dispatcher.poll(execution_id)

    rows = response["body"]["rows"]
    if not rows:
        assert state == {"error": "execution not found"}
        return
    (row,) = rows
    assert (state["state"], state["sub_state"]) == AS_LANDLORD_READS[row["status"]]
    assert state["retry_count"] == row.get("retry_count", 0)
    assert state["row"] == row


@pytest.mark.parametrize(
    ("status", "expected"),
    [
        ("pending", ("pending", "waiting")),
        ("scheduled", ("running", "running")),
        ("ready", ("running", "running")),
        ("failed", ("failed", "failed")),
        ("error", ("failed", "failed")),
    ],
)
async def test_states_that_were_not_recorded_read_as_landlords_code_says(
    httpserver: HTTPServer, dispatcher: RestateDispatcher, status: str, expected: tuple[str, str]
) -> None:
    httpserver.expect_request("/query").respond_with_json({"rows": [{"status": status}]})

    state = await dispatcher.poll("inv_1")

    assert (state["state"], state["sub_state"], state["retry_count"]) == (*expected, 0)


async def test_a_failed_execution_has_succeeded_to_landlord(
    httpserver: HTTPServer, dispatcher: RestateDispatcher
) -> None:
    row = {"status": "completed", "completion_result": "failure", "completion_failure": "[409] x"}
    httpserver.expect_request("/query").respond_with_json({"rows": [row]})

    assert (await dispatcher.poll("inv_1"))["state"] == "succeeded"


@pytest.mark.parametrize("exchange", KILLS)
async def test_a_kill_is_what_landlord_was_recorded_to_send(
    httpserver: HTTPServer, dispatcher: RestateDispatcher, exchange: dict[str, Any]
) -> None:
    request, response = exchange["request"], exchange["response"]
    httpserver.expect_oneshot_request(request["path"], method="PATCH").respond_with_data(
        response["body"], status=response["status"]
    )

    await dispatcher.kill(request["path"].split("/")[2])

    httpserver.check()


async def test_a_kill_that_is_refused_is_an_error(
    httpserver: HTTPServer, dispatcher: RestateDispatcher
) -> None:
    httpserver.expect_request("/invocations/x/kill").respond_with_json(
        {"message": "bad id"}, status=400
    )

    with pytest.raises(AdminRefused):
        await dispatcher.kill("x")
