"""Answers of a failing Docker daemon, or of another program at its address."""

import json
from collections.abc import AsyncIterator
from contextlib import suppress

import pytest
import pytest_asyncio
from pytest_httpserver import HTTPServer
from werkzeug import Request, Response

from landlord_engines_core.compute.docker import connection
from landlord_engines_core.compute.docker.client import DockerClient
from landlord_engines_core.compute.docker.errors import Conflict, NotFound, StartFailed
from landlord_engines_core.compute.docker.settings import DockerSettings, Registry
from landlord_engines_core.errors import ComputeError, ComputeRefused, ComputeUnavailable
from landlord_engines_core.settings import Duration, Secret
from landlord_test_target.compute_engines import docker_settings

SECRET = "sesame"


@pytest.fixture
def settings(httpserver: HTTPServer) -> DockerSettings:
    httpserver.expect_request("/version").respond_with_json({"ApiVersion": "1.47"})
    registries = {"docker.io": Registry(username="me", password=Secret(SECRET))}
    return DockerSettings(
        host=httpserver.url_for("").rstrip("/"), registries=registries, request_timeout=Duration(5)
    )


@pytest_asyncio.fixture
async def client(settings: DockerSettings) -> AsyncIterator[DockerClient]:
    client = DockerClient(settings)
    yield client
    await client.aclose()


def answer(httpserver: HTTPServer, method: str, path: str, status: int, message: str = "") -> None:
    """Have the daemon answer with a message that quotes a secret."""
    document = {"message": f"{message} {SECRET}"}
    httpserver.expect_request(f"/v1.47{path}", method=method).respond_with_json(document, status)


async def test_the_client_uses_the_api_version_of_the_daemon(
    client: DockerClient, httpserver: HTTPServer
) -> None:
    httpserver.expect_request("/v1.47/containers/json").respond_with_json([])

    assert await client.containers({}) == []
    assert await client.containers({}) == []

    assert [request.path for request, _ in httpserver.log] == [
        "/version",
        *["/v1.47/containers/json"] * 2,
    ]


@pytest.mark.parametrize(
    ("status", "error", "expected"),
    [
        (400, ComputeRefused, r"refuses to inspect a container \(HTTP 400\)"),
        (403, ComputeRefused, r"HTTP 403"),
        (404, NotFound, "an object is missing"),
        (409, Conflict, "another change is under way"),
        (500, ComputeUnavailable, r"fails to inspect a container \(HTTP 500\)"),
        (503, ComputeUnavailable, r"HTTP 503"),
    ],
)
async def test_the_status_decides_on_a_retry_and_no_message_of_the_daemon_is_shown(
    client: DockerClient, httpserver: HTTPServer, status: int, error: type[Exception], expected: str
) -> None:
    answer(httpserver, "GET", "/containers/x/json", status, "for")

    with pytest.raises(error, match=expected) as caught:
        await client.inspect("x")

    assert SECRET not in str(caught.value)


@pytest.mark.parametrize("body", ["<html>", "[", '{"no": "message"}'])
async def test_an_answer_that_no_daemon_gives_is_reported_as_unavailable(
    client: DockerClient, httpserver: HTTPServer, body: str
) -> None:
    httpserver.expect_request("/v1.47/containers/x/json").respond_with_data(
        body, 500, content_type="application/json"
    )

    with pytest.raises(ComputeUnavailable, match="does not answer"):
        await client.inspect("x")


async def test_an_unreachable_daemon_is_reported_with_a_hint() -> None:
    client = DockerClient(DockerSettings(host="tcp://127.0.0.1:1"))

    with pytest.raises(ComputeUnavailable, match="does not answer") as caught:
        await client.inspect("x")
    with pytest.raises(ComputeUnavailable, match="does not answer"):
        await client.pull("x")

    assert "DOCKER_HOST" in caught.value.hint
    await client.aclose()


async def test_a_request_to_a_hanging_daemon_times_out(httpserver: HTTPServer) -> None:
    def answer_late(_: Request) -> Response:
        release.wait(10)
        return Response("{}")

    import threading

    release = threading.Event()
    httpserver.expect_request("/version").respond_with_handler(answer_late)
    host = httpserver.url_for("").rstrip("/")
    client = DockerClient(DockerSettings(host=host, request_timeout=Duration(0.1)))

    with pytest.raises(ComputeUnavailable, match="does not answer"):
        await client.inspect("x")

    release.set()
    await client.aclose()


async def test_a_daemons_answer_is_read_up_to_a_bound(
    client: DockerClient, httpserver: HTTPServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(connection, "LONGEST_BODY", 1000)
    httpserver.expect_request("/v1.47/containers/json").respond_with_data(
        "[" * 1001, content_type="application/json"
    )

    with pytest.raises(ComputeUnavailable, match="the answer has more than 1000 bytes"):
        await client.containers({})


async def test_a_failed_start_of_a_container_differs_from_a_refusal(
    client: DockerClient, httpserver: HTTPServer
) -> None:
    answer(httpserver, "POST", "/containers/stuck/start", 500, "failed to start shim")
    answer(httpserver, "POST", "/containers/gone/start", 404)
    answer(httpserver, "GET", "/containers/gone/json", 404)
    answer(httpserver, "POST", "/containers/busy/start", 409)
    answer(httpserver, "POST", "/containers/lonely/start", 404, "network 6d89a0 not found")
    httpserver.expect_request("/v1.47/containers/lonely/json").respond_with_json({"Id": "lonely"})
    answer(httpserver, "POST", "/containers/bad/start", 400, "executable file not found in $PATH")

    with pytest.raises(StartFailed):
        await client.start("stuck")
    with pytest.raises(StartFailed):
        await client.start("lonely")
    with pytest.raises(NotFound):
        await client.start("gone")
    with pytest.raises(Conflict):
        await client.start("busy")
    with pytest.raises(ComputeRefused, match="the image does not have the command"):
        await client.start("bad")


async def test_a_full_disk_of_the_daemon_is_reported_when_a_container_starts(
    client: DockerClient, httpserver: HTTPServer
) -> None:
    answer(httpserver, "POST", "/containers/x/start", 500, "write x: no space left on device")

    with pytest.raises(StartFailed, match="cannot start the container: no space is left"):
        await client.start("x")


async def test_an_unreachable_daemon_has_not_failed_to_start_a_container() -> None:
    client = DockerClient(DockerSettings(host="tcp://127.0.0.1:1"))

    with pytest.raises(ComputeUnavailable) as caught:
        await client.start("x")

    assert not isinstance(caught.value, StartFailed)
    await client.aclose()


@pytest.mark.parametrize("meanwhile", [200, 404])
async def test_the_client_waits_for_a_removal_in_progress(
    client: DockerClient, httpserver: HTTPServer, meanwhile: int
) -> None:
    answer(httpserver, "DELETE", "/containers/x", 409, "removal is already in progress")
    answer(httpserver, "POST", "/containers/x/wait", meanwhile)

    await client.remove("x")

    assert httpserver.log[-1][0].args["condition"] == "removed"


async def test_a_rename_to_the_current_name_succeeds(
    client: DockerClient, httpserver: HTTPServer
) -> None:
    answer(httpserver, "POST", "/containers/x/rename", 400, "same name")
    httpserver.expect_request("/v1.47/containers/x/json").respond_with_json({"Name": "/mine"})

    await client.rename("x", "mine")
    with pytest.raises(ComputeRefused):
        await client.rename("x", "other")


async def test_a_missing_volume_or_one_in_use_is_left_alone(
    client: DockerClient, httpserver: HTTPServer
) -> None:
    answer(httpserver, "DELETE", "/volumes/gone", 404)
    answer(httpserver, "DELETE", "/volumes/used", 409, "volume is in use")

    await client.remove_volume("gone")
    await client.remove_volume("used")


async def test_the_removal_of_a_missing_resource_succeeds(
    client: DockerClient, httpserver: HTTPServer
) -> None:
    answer(httpserver, "DELETE", "/containers/x", 404)

    await client.remove("x")

    assert httpserver.log[-1][0].method == "DELETE"


@pytest.mark.parametrize(
    ("statuses", "expected_attempts"),
    [((404, 204), ["c"]), ((403, 204), ["c", "b"]), ((204, 204), ["c"])],
)
async def test_of_networks_with_the_same_name_the_used_one_stays(
    client: DockerClient,
    httpserver: HTTPServer,
    statuses: tuple[int, int],
    expected_attempts: list[str],
) -> None:
    def network(key: str, **more: object) -> dict[str, object]:
        return {"Id": key, "Name": "net", "Labels": {"landlord.owner": "landlord"}, **more}

    networks = [network("b"), network("c"), network("x", Name="net-more")]
    httpserver.expect_request("/v1.47/networks").respond_with_json(networks)
    for key, status in zip("cb", statuses, strict=True):
        answer(httpserver, "DELETE", f"/networks/{key}", status)

    await client.ensure_network("net", "bridge")

    attempts = [request.path[-1] for request, _ in httpserver.log if request.method == "DELETE"]
    assert attempts == expected_attempts


async def test_a_network_without_labels_belongs_to_somebody_else(
    client: DockerClient, httpserver: HTTPServer
) -> None:
    networks = [{"Id": "a", "Name": "net", "Labels": None}, {"Id": "b", "Name": "net"}]
    httpserver.expect_request("/v1.47/networks").respond_with_json(networks)

    await client.ensure_network("net", "bridge")

    assert {request.method for request, _ in httpserver.log} == {"GET"}


async def test_a_daemon_without_volumes_lists_none(
    client: DockerClient, httpserver: HTTPServer
) -> None:
    httpserver.expect_request("/v1.47/volumes").respond_with_json({"Volumes": None})

    assert await client.volumes({}) == []


@pytest.mark.parametrize(
    ("status", "message", "error", "expected"),
    [
        (404, "manifest for x not found: manifest unknown", ComputeRefused, "does not exist"),
        (404, "pull access denied for x, repository does not exist", ComputeRefused, "denies"),
        (500, "unauthorized: authentication required", ComputeRefused, "denies"),
        (500, "Get https://r/v2/: no basic auth credentials", ComputeRefused, "denies"),
        (500, "dial tcp 1.2.3.4:443: connect: connection refused", ComputeUnavailable, "answer"),
        (500, "dial tcp: lookup r: no such host", ComputeUnavailable, "does not answer"),
        (500, "net/http: TLS handshake timeout", ComputeUnavailable, "does not answer"),
        (500, "toomanyrequests: You have reached your limit", ComputeUnavailable, "limits"),
        (500, "write /var/lib/docker: no space left", ComputeUnavailable, "has no space left"),
    ],
)
async def test_a_temporary_failure_of_a_pull_differs_from_a_permanent_one(
    client: DockerClient,
    httpserver: HTTPServer,
    *,
    status: int,
    message: str,
    error: type[Exception],
    expected: str,
) -> None:
    answer(httpserver, "POST", "/images/create", status, message)

    with pytest.raises(error, match=expected) as caught:
        await client.pull("r:5000/x:1")

    assert SECRET not in str(caught.value)


async def test_a_pull_from_another_program_than_a_daemon_fails(
    client: DockerClient, httpserver: HTTPServer
) -> None:
    httpserver.expect_request("/v1.47/images/create").respond_with_json({"no": "message"}, 500)

    with pytest.raises(ComputeUnavailable, match="the Docker daemon does not answer"):
        await client.pull("r:5000/x:1")


async def test_a_pull_that_breaks_halfway_fails(
    client: DockerClient, httpserver: HTTPServer
) -> None:
    lines = [{"status": "Pulling"}, {"errorDetail": {"message": "unexpected EOF"}, "error": "x"}]
    httpserver.expect_request("/v1.47/images/create").respond_with_data(
        "\r\n".join(map(json.dumps, lines)), content_type="application/json"
    )

    with pytest.raises(ComputeUnavailable, match="does not answer"):
        await client.pull("r:5000/x:1")


@pytest.mark.parametrize(
    ("image", "reference", "sent"),
    [
        ("nginx:1", "docker.io/library/nginx:1", True),
        ("me/app", "docker.io/me/app", True),
        ("docker.io/me/app:1", "docker.io/me/app:1", True),
        ("localhost/app:1", "localhost/app:1", False),
        ("r.example/app:1", "r.example/app:1", False),
    ],
)
async def test_credentials_go_to_their_own_registry_only(
    client: DockerClient, httpserver: HTTPServer, image: str, reference: str, *, sent: bool
) -> None:
    httpserver.expect_request("/v1.47/images/create").respond_with_data("")

    await client.pull(image)

    request, _ = httpserver.log[-1]
    assert request.args["fromImage"] == reference
    assert ("X-Registry-Auth" in request.headers) == sent


async def test_docker_is_never_reached_through_a_proxy(
    httpserver: HTTPServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HTTP_PROXY", "http://127.0.0.1:9")
    monkeypatch.setenv("NO_PROXY", "")
    httpserver.expect_request("/v1.41/containers/x/json").respond_with_json({"Id": "x"})
    settings = docker_settings({"host": f"tcp://127.0.0.1:{httpserver.port}"})
    client = DockerClient(settings)

    with suppress(ComputeError):
        await client.inspect("x")
    await client.aclose()

    assert httpserver.log


async def test_tls_without_cert_path_is_reported_if_the_user_has_no_home(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.delenv("HOME", raising=False)
    monkeypatch.setattr("os.path.expanduser", lambda path: path)
    settings = docker_settings({"host": "tcp://127.0.0.1:1", "tls_verify": True})

    with pytest.raises(ComputeUnavailable, match="no home folder") as caught:
        await DockerClient(settings).inspect("x")

    assert "cert_path" in caught.value.hint


@pytest.mark.parametrize("section", [{"cert_path": "/nowhere"}, {"tls_verify": True}])
async def test_certificates_that_cannot_be_read_are_reported(
    section: dict[str, object], tmp_path: object, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HOME", str(tmp_path))
    settings = docker_settings({"host": "tcp://127.0.0.1:1", **section})

    with pytest.raises(ComputeUnavailable, match=r"certificates .* FileNotFoundError") as caught:
        await DockerClient(settings).inspect("x")

    assert "cert_path" in caught.value.hint
