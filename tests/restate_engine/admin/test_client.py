import asyncio
import re
import socket
from contextlib import suppress

import attrs
import pytest
from pytest_httpserver import HTTPServer
from werkzeug import Request, Response

from landlord_engines_core.tracing import trace_job
from landlord_engines_restate.admin import (
    AdminClient,
    AdminRefused,
    AdminUnavailable,
    RegistrationResponse,
    client,
    literal,
    transport,
)
from landlord_test_target.spans import find, recorded_spans
from landlord_test_target.tcp_server import run_tcp_server

KEY = "a-very-secret-key"


async def read_deployments(httpserver: HTTPServer, api_key: str | None = None) -> AdminClient:
    """Read the deployments once."""
    admin = AdminClient(httpserver.url_for("/"), api_key)
    try:
        await admin.deployments()
    finally:
        await admin.aclose()
    return admin


@pytest.mark.parametrize(
    ("text", "quoted"),
    [
        ("inv_1", "'inv_1'"),
        ("o'brien", "'o''brien'"),
        ("'; drop table x; --", "'''; drop table x; --'"),
        ("", "''"),
    ],
)
def test_a_literal_doubles_quotes(text: str, quoted: str) -> None:
    assert literal(text) == quoted


async def test_the_api_key_goes_out_as_a_bearer_token(httpserver: HTTPServer) -> None:
    httpserver.expect_request(
        "/deployments", headers={"Authorization": f"Bearer {KEY}", "Accept": "application/json"}
    ).respond_with_json({"deployments": []})

    await read_deployments(httpserver, KEY)

    httpserver.check()


async def test_a_request_in_a_job_has_a_span_that_names_no_id(httpserver: HTTPServer) -> None:
    httpserver.expect_request("/deployments").respond_with_json({"deployments": []})

    with recorded_spans() as exporter, trace_job("inv_1"):
        await read_deployments(httpserver, KEY)

    span = find(exporter, "restate: GET /deployments")
    assert span.attributes == {"http.request.method": "GET", "http.response.status_code": 200}


async def test_without_an_api_key_nothing_is_sent_for_it(httpserver: HTTPServer) -> None:
    httpserver.expect_request("/deployments").respond_with_json({"deployments": []})

    await read_deployments(httpserver)

    ((request, _),) = httpserver.log
    assert "Authorization" not in request.headers


@pytest.mark.parametrize("status", [401, 503])
async def test_no_error_and_no_repr_shows_the_api_key(httpserver: HTTPServer, status: int) -> None:
    httpserver.expect_request("/deployments").respond_with_data("no", status=status)

    with pytest.raises((AdminRefused, AdminUnavailable)) as caught:
        await read_deployments(httpserver, KEY)

    assert KEY not in f"{caught.value!r} {caught.value} {AdminClient('http://x', KEY)!r}"


async def test_a_refusal_has_the_text_and_the_code_of_restate(httpserver: HTTPServer) -> None:
    refusal = {"message": "[META0003] cannot reach it", "restate_code": "META0003"}
    httpserver.expect_request("/deployments").respond_with_json(refusal, status=500)

    with pytest.raises(AdminRefused, match="cannot reach it") as caught:
        await read_deployments(httpserver)

    assert (caught.value.status, caught.value.restate_code) == (500, "META0003")
    assert caught.value.code == "LE322"


@pytest.mark.parametrize(
    ("status", "body"),
    [
        (500, '{"message": "broken", "restate_code": null}'),
        (503, "<html>busy</html>"),
        (200, "<html>hello</html>"),
        (200, '{"something": "else"}'),
    ],
)
async def test_server_errors_and_malformed_answers_count_as_unavailable(
    httpserver: HTTPServer, status: int, body: str
) -> None:
    httpserver.expect_request("/deployments").respond_with_data(body, status=status)

    with pytest.raises(AdminUnavailable, match=re.escape(httpserver.url_for("").rstrip("/"))):
        await read_deployments(httpserver)


async def test_an_endless_answer_is_read_up_to_a_limit(
    httpserver: HTTPServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(transport, "LONGEST_BODY", 1000)
    httpserver.expect_request("/deployments").respond_with_data(" " * 1001)

    with pytest.raises(AdminUnavailable, match="more than 1000 bytes") as caught:
        await read_deployments(httpserver)

    assert "workflow.restate.admin_endpoint" in caught.value.hint


async def test_the_proxy_from_the_environment_is_used(
    httpserver: HTTPServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("http_proxy", "no_proxy", "NO_PROXY"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("HTTP_PROXY", f"127.0.0.1:{httpserver.port}")
    host = {"Host": "restate.test:9070"}
    httpserver.expect_request("/deployments", headers=host).respond_with_json({"deployments": []})
    admin = AdminClient("http://restate.test:9070")

    for _ in range(2):
        assert await admin.deployments() == ()
    with pytest.raises((AdminRefused, AdminUnavailable), match=r"through the proxy 127\."):
        await admin.get("/else")
    await admin.aclose()


async def test_a_missing_server_is_unavailable_and_the_error_names_the_setting() -> None:
    admin = AdminClient("http://127.0.0.1:9")

    with pytest.raises(AdminUnavailable) as caught:
        await admin.get("/health")
    await admin.aclose()

    assert "workflow.restate.admin_endpoint" in caught.value.hint


async def test_a_server_that_takes_too_long_is_unavailable() -> None:
    with socket.create_server(("127.0.0.1", 0)) as silent:
        admin = AdminClient(f"http://127.0.0.1:{silent.getsockname()[1]}")

        with pytest.raises(AdminUnavailable, match="no answer in time"):
            await admin._transport.request("GET", "/health", max_seconds=0.1)
        await admin.aclose()


@attrs.define
class LimitedConnections:
    """A server that keeps each connection for a number of answers, and then closes it on a request."""

    answers: int
    in_two_segments: bool = False
    connections: int = 0

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.connections += 1
        with suppress(asyncio.IncompleteReadError):
            for _ in range(self.answers):
                await reader.readuntil(b"}")
                writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: 11\r\n\r\n")
                if self.in_two_segments:
                    await writer.drain()
                    await asyncio.sleep(0.01)
                writer.write(b'{"rows":[]}')
            await reader.readuntil(b"}")


async def count_connections(server: LimitedConnections, times: int) -> int:
    """Send this many queries, and return the number of connections that were opened."""
    async with run_tcp_server(server.serve) as port:
        admin = AdminClient(f"http://127.0.0.1:{port}")
        try:
            for _ in range(times):
                assert await admin.query("select 1") == ()
        finally:
            await admin.aclose()
    return server.connections


@pytest.mark.parametrize("in_two_segments", [False, True])
async def test_a_connection_is_kept_where_an_answer_can_be_acknowledged_at_once(
    *, in_two_segments: bool
) -> None:
    assert (
        await count_connections(
            LimitedConnections(answers=3, in_two_segments=in_two_segments), times=3
        )
        == 1
    )


async def test_on_other_systems_each_request_has_its_own_connection(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(transport, "QUICK_ACK", None)

    assert (
        await count_connections(LimitedConnections(answers=3, in_two_segments=True), times=3) == 3
    )


async def test_a_kept_connection_that_the_server_closed_is_replaced() -> None:
    assert await count_connections(LimitedConnections(answers=2), times=6) == 3


async def test_a_server_that_closes_new_connections_too_is_unavailable() -> None:
    server = LimitedConnections(answers=0)

    with pytest.raises(AdminUnavailable):
        await count_connections(server, times=1)

    assert server.connections == 2


async def test_a_redirect_is_not_followed(httpserver: HTTPServer) -> None:
    httpserver.expect_request("/deployments").respond_with_data(
        status=302, headers={"Location": httpserver.url_for("/elsewhere")}
    )

    with pytest.raises(AdminUnavailable):
        await read_deployments(httpserver, KEY)

    assert [request.path for request, _ in httpserver.log] == ["/deployments"]


async def test_a_service_that_is_not_registered_is_none(httpserver: HTTPServer) -> None:
    httpserver.expect_request("/services/Some").respond_with_json(
        {"message": "not found"}, status=404
    )
    admin = AdminClient(httpserver.url_for("/"))

    assert await admin.service("Some") is None
    await admin.aclose()


async def test_a_denied_read_of_a_service_is_a_refusal(httpserver: HTTPServer) -> None:
    httpserver.expect_request("/services/Some").respond_with_json({"message": "no"}, status=403)
    admin = AdminClient(httpserver.url_for("/"))

    with pytest.raises(AdminRefused):
        await admin.service("Some")
    await admin.aclose()


async def test_a_registration_always_says_http_11_and_force(httpserver: HTTPServer) -> None:
    httpserver.expect_request(
        "/deployments",
        method="POST",
        json={
            "uri": "http://worker:9080",
            "use_http_11": True,
            "force": False,
            "dry_run": False,
            "metadata": {"a": "b"},
        },
    ).respond_with_json({"id": "dp_1", "services": []}, status=201)
    admin = AdminClient(httpserver.url_for("/"))

    discovery = await admin.register("http://worker:9080", force=False, metadata={"a": "b"})

    assert discovery == RegistrationResponse(id="dp_1")
    await admin.aclose()


def test_a_registration_may_take_longer_since_restate_calls_the_worker_meanwhile() -> None:
    assert client.REGISTRATION_TIMEOUT > transport.TIMEOUT


@pytest.mark.parametrize(
    ("status", "killed"), [(200, True), (202, True), (404, False), (409, False)]
)
async def test_killing_an_ended_or_unknown_invocation_succeeds(
    httpserver: HTTPServer, status: int, *, killed: bool
) -> None:
    httpserver.expect_request("/invocations/inv_1/kill", method="PATCH").respond_with_data(
        "", status=status
    )
    admin = AdminClient(httpserver.url_for("/"))

    assert await admin.kill("inv_1") is killed
    await admin.aclose()


async def test_a_kill_that_is_refused_is_an_error(httpserver: HTTPServer) -> None:
    httpserver.expect_request("/invocations/x/kill").respond_with_json(
        {"message": "bad id"}, status=400
    )
    admin = AdminClient(httpserver.url_for("/"))

    with pytest.raises(AdminRefused, match="bad id"):
        await admin.kill("x")
    await admin.aclose()


async def test_an_id_with_a_slash_stays_one_segment_of_the_path(httpserver: HTTPServer) -> None:
    seen: list[str] = []

    def answer(request: Request) -> Response:
        seen.append(request.environ["RAW_URI"])
        return Response("", status=404)

    httpserver.expect_request(re.compile("/.*")).respond_with_handler(answer)
    admin = AdminClient(httpserver.url_for("/"))

    await admin.kill("a/b c")
    await admin.aclose()

    assert seen == ["/invocations/a%2Fb%20c/kill"]


async def test_closing_a_client_that_was_never_used_is_fine() -> None:
    await AdminClient("http://127.0.0.1:9").aclose()
