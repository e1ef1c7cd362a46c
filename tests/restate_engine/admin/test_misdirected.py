"""Another server at the admin API's URL; each answers as the real one was seen to."""

import re

import pytest
from pytest_httpserver import HTTPServer

from landlord_engines_restate.admin import AdminClient, AdminRefused, AdminUnavailable


async def registering(url: str) -> str:
    admin = AdminClient(url)
    try:
        with pytest.raises((AdminRefused, AdminUnavailable)) as caught:
            await admin.register("http://127.0.0.1:1", force=False, metadata={})
    finally:
        await admin.aclose()
    return str(caught.value)


async def test_an_address_of_the_ingress_is_recognised(httpserver: HTTPServer) -> None:
    refusal = {"code": 400, "message": "bad path: /deployments", "source": "ingress"}
    httpserver.expect_request("/deployments").respond_with_json(refusal, 400)
    httpserver.expect_request("/version").respond_with_json(refusal, 400)
    httpserver.expect_request("/restate/health").respond_with_json({"services": []})

    message = await registering(httpserver.url_for("/"))

    assert "is Restate's ingress, not Restate's admin API" in message
    assert "workflow.restate.admin_endpoint" in message


async def test_an_address_of_landlords_api_is_recognised(httpserver: HTTPServer) -> None:
    httpserver.expect_request("/v1/tenants").respond_with_json({"tenants": [], "total": 0})

    assert "is Landlord's API" in await registering(httpserver.url_for("/"))


async def test_another_server_that_answers_with_a_page_is_reported_as_such(
    httpserver: HTTPServer,
) -> None:
    httpserver.expect_request(re.compile(".*")).respond_with_data("<html>", 200)

    assert "unexpected response" in await registering(httpserver.url_for("/"))


async def test_an_error_of_the_admin_api_without_a_code_is_kept(
    httpserver: HTTPServer,
) -> None:
    httpserver.expect_request("/deployments").respond_with_json({"message": "no"}, 400)
    httpserver.expect_request("/version").respond_with_json({"min_admin_api_version": 2})

    assert "refused: no" in await registering(httpserver.url_for("/"))


async def test_https_to_a_port_without_tls_is_recognised(httpserver: HTTPServer) -> None:
    url = f"https://{httpserver.host}:{httpserver.port}"

    assert "speaks no TLS: write http:// in" in await registering(url)
