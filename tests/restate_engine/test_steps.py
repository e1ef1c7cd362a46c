import json
from typing import Any

import pytest
from pytest_httpserver import HTTPServer

from landlord_engines_core.errors import Transient
from landlord_engines_restate.admin import AdminClient, partition_key
from landlord_engines_restate.journal import Pauses
from landlord_engines_restate.rivals import Rivals
from landlord_engines_restate.steps import RestateSteps, SettleSteps, TurnCalls


async def never(*_: object) -> bytes:
    raise AssertionError


def parts(admin: AdminClient) -> dict[str, Any]:
    return {
        "execution_id": "inv_1",
        "ctx": None,  # a look has none to call with
        "turn": TurnCalls(name="T", take=never, end=never, settle=never),  # type: ignore[arg-type]
        "admin": admin,
        "rivals": Rivals(admin=admin),
        "pauses": Pauses(),
    }


async def test_a_state_that_is_not_where_it_is_sought_is_found_all_the_same(
    httpserver: HTTPServer,
) -> None:
    state = {"record": {"placements": [{"engine": "mock"}]}}
    rows = [{"value_utf8": json.dumps(state)}]
    httpserver.expect_ordered_request("/query").respond_with_json({"rows": []})
    httpserver.expect_ordered_request("/query").respond_with_json({"rows": rows})
    admin = AdminClient(httpserver.url_for("/"))

    record = await RestateSteps(**parts(admin)).look("t")

    asked = [json.loads(request.data)["query"] for request, _ in httpserver.log]
    assert [one.engine for one in record.placements] == ["mock"]
    assert asked[0] == f"{asked[1]} AND partition_key = {partition_key('t')}"
    await admin.aclose()


async def test_a_look_without_an_admin_api_is_transient(httpserver: HTTPServer) -> None:
    httpserver.expect_request("/query").respond_with_data("down", status=503)
    admin = AdminClient(httpserver.url_for("/"))
    steps = RestateSteps(**parts(admin))

    for one in (steps, SettleSteps(**parts(admin), after="inv_job")):
        with pytest.raises(Transient, match="cannot be used"):
            await one.look("t")

    await admin.aclose()
    steps.alive()
