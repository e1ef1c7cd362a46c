import json

import pytest
from pytest_httpserver import HTTPServer
from werkzeug import Request, Response

from landlord_engines_core.errors import RegistrationRefused
from landlord_engines_restate.admin import AdminClient
from landlord_engines_restate.deployments.former_names import refuse_former_names
from landlord_engines_restate.settings import Names

NAMES = Names(service="Jobs", unprefixed_service="Jobs")


async def check_former_names(httpserver: HTTPServer) -> None:
    admin = AdminClient(httpserver.url_for(""))
    try:
        await refuse_former_names(admin, NAMES)
    finally:
        await admin.aclose()


def respond(httpserver: HTTPServer, *, open_jobs: bool, records: bool) -> None:
    """Set the server's answers: the former lock is registered, with open jobs or records if given."""
    service = {"name": "JobsTurn", "deployment_id": "dp_1", "revision": 1, "handlers": []}
    httpserver.expect_request("/services/JobsTurn").respond_with_json({**service, "public": False})

    def rows(request: Request) -> Response:
        asks_for_records = "FROM state" in json.loads(request.data)["query"]
        has_rows = records if asks_for_records else open_jobs
        return Response(json.dumps({"rows": [{"id": "x"}] if has_rows else []}))

    httpserver.expect_request("/query").respond_with_handler(rows)


@pytest.mark.parametrize(
    ("open_jobs", "records", "kept"),
    [(True, False, "jobs that have not ended"), (False, True, "tenants' records")],
)
async def test_state_under_the_former_names_is_reported_with_instructions(
    httpserver: HTTPServer, *, open_jobs: bool, records: bool, kept: str
) -> None:
    respond(httpserver, open_jobs=open_jobs, records=records)

    with pytest.raises(
        RegistrationRefused, match=f"{kept} under the previous name JobsTurn"
    ) as caught:
        await check_former_names(httpserver)

    assert "/deployments/dp_1?force=true" in caught.value.hint


async def test_a_former_version_without_state_is_no_problem(httpserver: HTTPServer) -> None:
    respond(httpserver, open_jobs=False, records=False)

    await check_former_names(httpserver)


async def test_a_server_without_the_former_names_is_not_asked_again(
    httpserver: HTTPServer,
) -> None:
    httpserver.expect_request("/services/JobsTurn").respond_with_json({}, status=404)

    await check_former_names(httpserver)

    assert len(httpserver.log) == 1
