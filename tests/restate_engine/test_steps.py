from typing import Any

import pytest
from pytest_httpserver import HTTPServer

from landlord_engines_core.errors import Transient
from landlord_engines_restate.admin import AdminClient
from landlord_engines_restate.crash_loops import AttemptLosses
from landlord_engines_restate.journal import Pauses
from landlord_engines_restate.rivals import Rivals
from landlord_engines_restate.states import TurnStates
from landlord_engines_restate.steps import RestateSteps, SettleSteps, TurnCalls
from landlord_test_target.direct import Lines


async def never(*_: object) -> bytes:
    raise AssertionError


def parts(admin: AdminClient) -> dict[str, Any]:
    return {
        "execution_id": "inv_1",
        "ctx": None,  # a look has none to call with
        "turn": TurnCalls(name="T", take=never, end=never, settle=never),  # type: ignore[arg-type]
        "states": TurnStates(admin=admin, turn="T"),
        "rivals": Rivals(admin=admin, is_wanted=never),  # type: ignore[arg-type]
        "pauses": Pauses(),
        "losses": AttemptLosses(admin=admin, logger=Lines()),
    }


async def test_a_look_without_an_admin_api_is_transient(httpserver: HTTPServer) -> None:
    httpserver.expect_request("/query").respond_with_data("down", status=503)
    admin = AdminClient(httpserver.url_for("/"))
    steps = RestateSteps(**parts(admin))

    for one in (steps, SettleSteps(**parts(admin), after="inv_job")):
        with pytest.raises(Transient, match="cannot be used"):
            await one.look("t")

    await admin.aclose()
    steps.alive()
