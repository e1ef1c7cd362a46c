"""Landlord in memory with Restate's dispatcher: requests and tenants equal the recorded ones."""

import json
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any
from urllib.parse import unquote

import aiohttp
import pytest
import pytest_asyncio
from pytest_httpserver import HTTPServer
from werkzeug import Request

from landlord_engines_core.compute import ComputeRegistry
from landlord_engines_core.compute.mock import MockCompute
from landlord_engines_core.devserver import Intervals, landlord_in_memory
from landlord_engines_restate.admin import AdminClient
from landlord_engines_restate.local.dispatcher import RestateDispatcher
from landlord_test_target.in_memory import RecordingLogger
from landlord_test_target.landlord import ApiUser
from landlord_test_target.waiting import wait_for

WIRE = Path(__file__).parents[1] / "data" / "landlord-wire"
DISPATCHES: list[dict[str, Any]] = json.loads((WIRE / "restate-dispatch.json").read_text())
POLLING: list[dict[str, Any]] = json.loads((WIRE / "restate-polling.json").read_text())
POLLS = [exchange for exchange in POLLING if exchange["request"]["method"] == "POST"]
KILLS = [exchange for exchange in POLLING if exchange["request"]["method"] == "PATCH"]

SHOWN: dict[str, dict[str, object]] = {
    "paused": {
        "status": "provisioning",
        "sub_state": "running",
        "retry_count": 0,
        "word": "started",
    },
    "gone": {"status": "provisioning", "sub_state": "running", "retry_count": 0, "word": "started"},
    "backing-off": {"status": "provisioning", "sub_state": "backing-off", "retry_count": 8},
    "running": {"status": "provisioning", "sub_state": "running", "retry_count": 1},
    "completed": {"status": "ready", "sub_state": "succeeded", "retry_count": None},
    "suspended": {"status": "provisioning", "sub_state": "waiting", "retry_count": 0},
}
"""Tenant's state for an invocation's recorded row, as observed on Landlord."""


@pytest_asyncio.fixture
async def dispatcher(httpserver: HTTPServer) -> AsyncIterator[RestateDispatcher]:
    url = httpserver.url_for("").rstrip("/")
    admin = AdminClient(url)
    service = {"name": "TenantProvisioning", "deployment_id": "dp_1", "revision": 1}
    httpserver.expect_request("/services/TenantProvisioning").respond_with_json(service)
    yield RestateDispatcher(ingress=url, admin=admin, service="TenantProvisioning")
    await admin.aclose()


@pytest_asyncio.fixture
async def landlord(dispatcher: RestateDispatcher) -> AsyncIterator[ApiUser]:
    compute = ComputeRegistry({"mock": MockCompute()})
    quick = Intervals(reconcile=0.02, poll=0.02, retry=0.05, kill=0.02)
    async with (
        landlord_in_memory(
            dispatcher, compute=compute, logger=RecordingLogger(), intervals=quick
        ) as running,
        aiohttp.ClientSession() as http,
    ):
        yield ApiUser(url=running.url, http=http)


def sent_fields(request: Request) -> dict[str, str]:
    """Return the fields of a sent request in the form of a recording."""
    path = request.path + (
        f"?{unquote(request.query_string.decode())}" if request.query_string else ""
    )
    return {
        "method": request.method,
        "path": path,
        "Content-Type": request.headers.get("Content-Type", ""),
        "body": request.get_data(as_text=True),
    }


def requests_to(httpserver: HTTPServer, method: str, path: str) -> list[Request]:
    return [
        request
        for request, _ in httpserver.log
        if request.method == method and request.path.startswith(path)
    ]


async def test_every_recorded_dispatch_is_sent_field_by_field_as_it_was_recorded(
    httpserver: HTTPServer, dispatcher: RestateDispatcher
) -> None:
    differences: list[str] = []
    for exchange in DISPATCHES:
        recorded, response = exchange["request"], exchange["response"]
        httpserver.expect_oneshot_request("/TenantProvisioning/execute/send").respond_with_json(
            response["body"], response["status"]
        )

        execution_id = await dispatcher.dispatch(recorded["body_raw"].encode())

        fields = sent_fields(requests_to(httpserver, "POST", "/TenantProvisioning")[-1])
        fields["answer"] = execution_id
        expected = {
            "method": recorded["method"],
            "path": recorded["path"],
            "Content-Type": recorded["headers"]["Content-Type"],
            "body": recorded["body_raw"],
            "answer": response["body"]["invocationId"],
        }
        differences += [f"{key}: {fields[key]}" for key in expected if fields[key] != expected[key]]

    report = f"{len(DISPATCHES)} exchanges compared, {len(differences)} differences: {differences}"
    assert (len(DISPATCHES), differences) == (15, []), report


@pytest.mark.parametrize("exchange", POLLS)
async def test_every_recorded_row_gives_the_tenant_state_that_landlord_showed(
    httpserver: HTTPServer, landlord: ApiUser, exchange: dict[str, Any]
) -> None:
    recorded, response = exchange["request"], exchange["response"]
    execution_id = recorded["body"]["query"].split("'")[1]
    rows = response["body"]["rows"]
    status = rows[0]["status"] if rows else "gone"
    expected = SHOWN[status]
    httpserver.expect_request("/TenantProvisioning/execute/send").respond_with_json(
        {"invocationId": execution_id, "status": "Accepted"}, status=202
    )
    httpserver.expect_request(
        "/query", method="POST", json=recorded["body"], headers={"Accept": "application/json"}
    ).respond_with_json(response["body"], status=response["status"])

    tenant = await landlord.create("acme")

    async def was_polled() -> bool:
        return len(requests_to(httpserver, "POST", "/query")) >= 2

    shown_tenant = await landlord.wait_fields(
        tenant, status=expected["status"], workflow_sub_state=expected["sub_state"]
    )
    if expected["retry_count"] is not None:
        shown_tenant = await landlord.wait_fields(
            tenant, workflow_retry_count=expected["retry_count"]
        )
        await wait_for(was_polled)
        shown_tenant = (await landlord.get(tenant)).body
    word = expected.get("word", "completed" if status == "completed" else expected["sub_state"])
    running = status != "completed"
    assert shown_tenant["status_message"] == f"Workflow execution {word}: {execution_id}"
    assert shown_tenant.get("workflow_execution_id") == (execution_id if running else None)
    assert shown_tenant.get("workflow_retry_count") == expected["retry_count"]
    assert "workflow_error_message" not in shown_tenant
    assert len(requests_to(httpserver, "POST", "/TenantProvisioning")) == 1


@pytest.mark.parametrize("exchange", KILLS)
async def test_a_delete_sends_the_recorded_kill_and_continues_after_any_answer(
    httpserver: HTTPServer, landlord: ApiUser, exchange: dict[str, Any]
) -> None:
    recorded, response = exchange["request"], exchange["response"]
    execution_id = recorded["path"].split("/")[2]
    httpserver.expect_request("/TenantProvisioning/execute/send").respond_with_json(
        {"invocationId": execution_id, "status": "Accepted"}, status=202
    )
    httpserver.expect_request("/query").respond_with_json({"rows": [{"status": "running"}]})
    httpserver.expect_request(recorded["path"], method="PATCH").respond_with_data(
        response["body"], status=response["status"]
    )
    tenant = await landlord.create("acme")
    await landlord.wait_fields(tenant, workflow_execution_id=execution_id)

    answer = await landlord.delete(tenant)

    assert (answer.status, answer.body["status"]) == (202, "archiving")
    (kill,) = requests_to(httpserver, "PATCH", "/invocations/")
    assert kill.path == recorded["path"]


def test_all_recorded_polling_is_replayed() -> None:
    statuses = {
        rows[0]["status"] if (rows := exchange["response"]["body"]["rows"]) else "gone"
        for exchange in POLLS
    }

    assert (len(DISPATCHES), len(POLLS), len(KILLS), len(POLLING)) == (15, 6, 2, 8)
    assert statuses == set(SHOWN)
