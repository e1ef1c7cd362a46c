import pytest
from pytest_httpserver import HTTPServer

from landlord_engines_core.errors import RegistrationRefused
from landlord_engines_restate.admin import AdminClient
from landlord_engines_restate.deployments.server_version import refuse_too_old


async def asked(httpserver: HTTPServer) -> None:
    admin = AdminClient(httpserver.url_for(""))
    try:
        await refuse_too_old(admin)
    finally:
        await admin.aclose()


@pytest.mark.parametrize("version", ["1.6.1", "0.9.2", "1.0.0-rc.3"])
async def test_a_server_that_is_too_old_is_named_with_its_version(
    httpserver: HTTPServer, version: str
) -> None:
    httpserver.expect_request("/version").respond_with_json({"version": version})

    with pytest.raises(RegistrationRefused, match=rf"restate-server {version} .* needs 1\.7"):
        await asked(httpserver)


@pytest.mark.parametrize(
    "document", [{"version": "1.7.0"}, {"version": "2.0"}, {"version": "x"}, {}]
)
async def test_later_servers_and_those_without_a_version_are_accepted(
    httpserver: HTTPServer, document: dict[str, str]
) -> None:
    httpserver.expect_request("/version").respond_with_json(document)

    await asked(httpserver)


async def test_a_server_without_the_version_path_is_accepted(httpserver: HTTPServer) -> None:
    httpserver.expect_request("/version").respond_with_data("no", status=404)

    await asked(httpserver)
