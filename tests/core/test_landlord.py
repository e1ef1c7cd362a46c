from collections.abc import AsyncIterator

import pytest
from pytest_httpserver import HTTPServer

from landlord_engines_core import landlord
from landlord_engines_core.errors import LandlordUnavailable
from landlord_engines_core.landlord import LandlordClient, add_version
from landlord_engines_core.models import Tenant
from landlord_engines_core.tracing import trace_job
from landlord_test_target.spans import find, recorded_spans, span_id, trace_id


@pytest.fixture
async def client(httpserver: HTTPServer) -> AsyncIterator[LandlordClient]:
    client = LandlordClient(httpserver.url_for(""))
    yield client
    await client.aclose()


@pytest.mark.parametrize(
    ("base", "url"),
    [
        ("http://landlord:8080", "http://landlord:8080/v1"),
        ("http://landlord:8080/", "http://landlord:8080/v1"),
        ("http://landlord/api", "http://landlord/v1"),
        ("http://landlord/api/", "http://landlord/v1"),
        ("http://landlord/v1", "http://landlord/v1"),
        ("http://landlord/v12/", "http://landlord/v12"),
        ("http://landlord/below", "http://landlord/below/v1"),
        ("https://landlord/below/api?x=1#y", "https://landlord/below/v1"),
    ],
)
def test_the_version_is_added_as_landlords_own_clients_add_it(base: str, url: str) -> None:
    assert add_version(base) == url


async def test_a_tenant_is_read_and_unknown_keys_are_passed_over(
    httpserver: HTTPServer, client: LandlordClient
) -> None:
    httpserver.expect_oneshot_request("/v1/tenants/t-1").respond_with_json(
        {"id": "t-1", "name": "ann", "status": "ready", "labels": {"a": "b"}, "version": 7}
    )

    tenant = await client.tenant("t-1")

    assert tenant == Tenant(id="t-1", name="ann", status="ready", labels={"a": "b"})
    assert "Cache-Control" not in httpserver.log[0][0].headers


async def test_a_request_in_a_job_has_a_span_and_continues_its_trace(
    httpserver: HTTPServer, client: LandlordClient
) -> None:
    httpserver.expect_request("/v1/tenants/t-1").respond_with_json({"id": "t-1"}, status=500)
    with recorded_spans() as exporter, trace_job("inv_1"), pytest.raises(LandlordUnavailable):
        await client.tenant("t-1", fresh=True)

    span = find(exporter, "landlord: read a tenant")
    assert span.attributes == {"http.request.method": "GET", "http.response.status_code": 500}
    headers = httpserver.log[0][0].headers
    assert headers["traceparent"].split("-")[1:3] == [
        f"{trace_id(span):032x}",
        f"{span_id(span):016x}",
    ]
    assert headers["Cache-Control"] == "no-cache"


@pytest.fixture
def proxy(httpserver: HTTPServer, monkeypatch: pytest.MonkeyPatch) -> HTTPServer:
    """A proxy that answers requests itself."""
    for name in ("http_proxy", "https_proxy", "no_proxy", "NO_PROXY"):
        monkeypatch.delenv(name, raising=False)
    for name in ("HTTP_PROXY", "HTTPS_PROXY"):
        monkeypatch.setenv(name, f"http://ann:sesame@127.0.0.1:{httpserver.port}")
    return httpserver


async def test_the_proxy_from_the_environment_is_used_for_landlord(
    proxy: HTTPServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    proxy.expect_request(
        "/v1/tenants/t-1", headers={"Host": "landlord.test:8080"}
    ).respond_with_json({"id": "t-1"})
    client = LandlordClient("http://landlord.test:8080")
    monkeypatch.setenv("NO_PROXY", ".test")
    direct = LandlordClient("http://landlord.test:8080")

    assert await client.tenant("t-1") == Tenant(id="t-1")
    with pytest.raises(LandlordUnavailable) as caught:
        await direct.tenant("t-1")
    await client.aclose()
    await direct.aclose()

    assert "proxy" not in str(caught.value)
    assert len(proxy.log) == 1


@pytest.mark.parametrize("scheme", ["http", "https"])
async def test_an_error_of_a_proxy_is_reported_as_such(proxy: HTTPServer, scheme: str) -> None:
    proxy.expect_request("/").respond_with_data("no", status=502)
    client = LandlordClient(f"{scheme}://landlord.test")

    with pytest.raises(LandlordUnavailable) as caught:
        await client.tenant("t-1")
    await client.aclose()

    assert f"through the proxy 127.0.0.1:{proxy.port}" in caught.value.message
    assert "sesame" not in str(caught.value)


async def test_a_fresh_read_bypasses_caches(httpserver: HTTPServer, client: LandlordClient) -> None:
    httpserver.expect_oneshot_request(
        "/v1/tenants/t-1", headers={"Cache-Control": "no-cache"}
    ).respond_with_json({"id": "t-1"})

    assert await client.tenant("t-1", fresh=True) == Tenant(id="t-1")


@pytest.mark.parametrize("key", ["a/b", "..", "a b?c#d", "%2F", "ünï", "a%b"])
async def test_any_name_stays_one_segment_of_the_path(
    httpserver: HTTPServer, client: LandlordClient, key: str
) -> None:
    httpserver.expect_oneshot_request(f"/v1/tenants/{key}").respond_with_json({"id": key})

    assert await client.tenant(key) == Tenant(id=key)


async def test_a_404_of_landlord_means_that_the_tenant_does_not_exist(
    httpserver: HTTPServer, client: LandlordClient
) -> None:
    httpserver.expect_oneshot_request("/v1/tenants/t-1").respond_with_json(
        {"error": "tenant not found"}, status=404
    )

    assert await client.tenant("t-1") is None


async def test_a_404_of_another_server_is_no_answer(
    httpserver: HTTPServer, client: LandlordClient
) -> None:
    httpserver.expect_oneshot_request("/v1/tenants/t-1").respond_with_data("nginx", status=404)

    with pytest.raises(LandlordUnavailable, match="answered tenants/t-1 with status 404"):
        await client.tenant("t-1")


@pytest.mark.parametrize("status", [301, 400, 401, 500, 503])
async def test_any_other_status_is_no_answer(
    httpserver: HTTPServer, client: LandlordClient, status: int
) -> None:
    httpserver.expect_oneshot_request("/v1/tenants/t-1").respond_with_json(
        {"error": "no"}, status=status, headers={"Location": "/elsewhere"}
    )

    with pytest.raises(LandlordUnavailable, match=f"status {status}"):
        await client.tenant("t-1")


@pytest.mark.parametrize("body", ["<html>", "[]", '{"id": 5, "secret": "hunter2"}'])
async def test_an_answer_of_another_form_is_no_answer_and_not_repeated(
    httpserver: HTTPServer, client: LandlordClient, body: str
) -> None:
    httpserver.expect_oneshot_request("/v1/tenants/t-1").respond_with_data(body)

    with pytest.raises(LandlordUnavailable, match="has a wrong form") as caught:
        await client.tenant("t-1")

    assert "hunter2" not in str(caught.value)
    assert "check that worker.landlord_api_url is the URL of Landlord" in caught.value.hint


async def test_defaults_of_an_engine_that_landlord_has_are_read(
    httpserver: HTTPServer, client: LandlordClient
) -> None:
    httpserver.expect_oneshot_request(
        "/v1/compute/config", query_string={"provider": "docker"}
    ).respond_with_json({"provider": "docker", "defaults": {"env": {"A": "1"}}})

    assert await client.compute_defaults("docker") == {"env": {"A": "1"}}


async def test_an_engine_that_landlord_does_not_have_has_no_defaults_there(
    httpserver: HTTPServer, client: LandlordClient
) -> None:
    httpserver.expect_oneshot_request("/v1/compute/config").respond_with_json(
        {"error": "unknown provider"}, status=400
    )

    assert await client.compute_defaults("shelf") == {}


async def test_a_400_of_another_server_does_not_mean_missing_defaults(
    httpserver: HTTPServer, client: LandlordClient
) -> None:
    httpserver.expect_oneshot_request("/v1/compute/config").respond_with_data("no", status=400)

    with pytest.raises(LandlordUnavailable, match="status 400"):
        await client.compute_defaults("shelf")


async def test_the_api_counts_as_reached_if_it_lists_tenants(
    httpserver: HTTPServer, client: LandlordClient
) -> None:
    httpserver.expect_oneshot_request("/v1/tenants", query_string={"limit": "1"}).respond_with_json(
        {"tenants": [], "total": 0}
    )

    await client.reach()

    httpserver.check_assertions()


async def test_another_server_at_the_address_is_not_the_api(
    httpserver: HTTPServer, client: LandlordClient
) -> None:
    httpserver.expect_oneshot_request("/v1/tenants").respond_with_json({"hello": "world"})

    with pytest.raises(LandlordUnavailable, match=r"\$\.total is missing"):
        await client.reach()


@pytest.mark.parametrize("url", ["http://127.0.0.1:1", "landlord:8080", "http://", "nonsense"])
async def test_an_address_without_a_listener_gives_no_answer(url: str) -> None:
    client = LandlordClient(url)

    with pytest.raises(LandlordUnavailable, match="cannot be read") as caught:
        await client.tenant("t-1")
    await client.aclose()

    assert "worker.landlord_api_url" in caught.value.hint


async def test_a_client_that_was_never_used_closes() -> None:
    await LandlordClient("http://landlord").aclose()


async def test_an_answer_without_an_end_is_not_read_to_its_end(
    httpserver: HTTPServer, client: LandlordClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(landlord, "LONGEST_BODY", 1000)
    httpserver.expect_request("/v1/tenants/t-1").respond_with_data("[" * 1001)

    with pytest.raises(LandlordUnavailable, match="the answer has more than 1000 bytes"):
        await client.tenant("t-1")
