"""Failed pulls become errors with a cause, even if the failure is inside the daemon's stream."""

import json
from collections.abc import AsyncIterator

import pytest
import pytest_asyncio
from pytest_httpserver import HTTPServer

from landlord_engines_core.compute.docker.client import DockerClient
from landlord_engines_core.compute.docker.pulls import pull_error
from landlord_engines_core.compute.docker.settings import DockerSettings
from landlord_engines_core.errors import LONGEST_PAUSE, ComputeRefused, ComputeUnavailable

DIGEST = f"sha256:{'0' * 64}"

PERMANENT = [
    ("no matching manifest for linux/amd64 in the manifest list entries", "platform"),
    ("no matching manifest for windows/amd64 10.0.17763", "platform"),
    ("no match for platform in manifest: not found", "platform"),
    ('image operating system "windows" cannot be used on this platform', "platform"),
    (f"manifest verification failed for digest {DIGEST}", "does not match its digest"),
    ("invalid checksum digest length", "does not match its digest"),
    ("pull access denied for a, repository does not exist or may require docker login", "denies"),
    ("unexpected status from HEAD request to https://r/v2/: 403 Forbidden", "denies"),
    ("denied: requested access to the resource is denied", "denies"),
    ("unsupported media type application/vnd.docker.plugin.v1+json", "format"),
    ("manifest for a@sha256:0 not found: manifest unknown: manifest unknown", "does not exist"),
    ("invalid reference format: repository name must be lowercase", "not an image reference"),
]

PASSING = [
    ("write /var/lib/docker/tmp/GetImageBlob1: no space left on device", "no space left"),
    ("failed to register layer: ApplyLayer: write /a: no space left on device", "no space left"),
    ("failed to register layer: lchown /a: permission denied", "cannot store"),
    ("open /var/lib/docker/tmp/a: read-only file system", "cannot store"),
    (f"filesystem layer verification failed for digest {DIGEST}", "arrived damaged"),
    ("failed commit on ref: unexpected commit digest sha256:0, expected sha256:1", "damaged"),
    ("x509: certificate signed by unknown authority", "does not trust the certificate"),
    ("http: server gave HTTP response to HTTPS client", "has no TLS"),
    ("received unexpected HTTP status: 503 Service Unavailable", "does not answer"),
    ("unexpected EOF", "does not answer"),
    ("context canceled", "does not answer"),
    ("toomanyrequests: You have reached your pull rate limit.", "limits the rate"),
    ("received unexpected HTTP status: 429 Too Many Requests", "limits the rate"),
]


@pytest_asyncio.fixture
async def client(httpserver: HTTPServer) -> AsyncIterator[DockerClient]:
    httpserver.expect_request("/version").respond_with_json({"ApiVersion": "1.47"})
    client = DockerClient(DockerSettings(host=httpserver.url_for("").rstrip("/")))
    yield client
    await client.aclose()


def streams(httpserver: HTTPServer, message: str) -> None:
    """Have the simulated daemon report a failure inside the stream of a pull."""
    lines = [
        {"status": "Pulling from a", "id": "1"},
        {"errorDetail": {"message": message}, "error": message},
    ]
    httpserver.expect_request("/v1.47/images/create").respond_with_data(
        "\r\n".join(map(json.dumps, lines)), content_type="application/json"
    )


@pytest.mark.parametrize(("message", "expected"), PERMANENT)
async def test_failures_that_need_another_image_are_refused(
    client: DockerClient, httpserver: HTTPServer, message: str, expected: str
) -> None:
    streams(httpserver, message)

    with pytest.raises(ComputeRefused, match=expected) as caught:
        await client.pull("r:5000/a:1")

    assert caught.value.hint
    assert "HTTP" not in str(caught.value)


@pytest.mark.parametrize(("message", "expected"), PASSING)
async def test_temporary_failures_of_a_pull_are_retried_with_their_cause(
    client: DockerClient, httpserver: HTTPServer, message: str, expected: str
) -> None:
    streams(httpserver, message)

    with pytest.raises(ComputeUnavailable, match=expected) as caught:
        await client.pull("r:5000/a:1")

    assert caught.value.hint


@pytest.mark.parametrize(
    ("message", "pause"),
    [
        ("toomanyrequests: retry-after: 308.402µs, allowed: 44000/minute", 1),
        ("toomanyrequests: Retry-After: 0h2m3.5s", 123.5),
        ("toomanyrequests: Retry-After: 1h2m3.5s", LONGEST_PAUSE),
        ("429 Too Many Requests, retry after 90 seconds", 90),
        ("toomanyrequests: You have reached your pull rate limit", 60),
        ("toomanyrequests: retry-after: soon", 60),
    ],
)
def test_a_registry_that_limits_the_rate_gets_the_pause_that_it_asks_for(
    message: str, pause: float
) -> None:
    error = pull_error(0, message, "a:1")

    assert isinstance(error, ComputeUnavailable)
    assert error.retry_after == pause


def test_a_daemon_that_limits_the_rate_by_status_is_understood() -> None:
    error = pull_error(429, "", "a:1")

    assert isinstance(error, ComputeUnavailable)
    assert "limits the rate" in error.message


@pytest.mark.parametrize(
    ("image", "message", "expected"),
    [
        ("r:5000/denied:1", "manifest for r:5000/denied:1 not found", "does not exist"),
        ("a/timeout@sha256:0", "manifest for a/timeout not found", "does not exist"),
        ("x", "Get https://x/v2/: x509: certificate has expired", "certificate"),
    ],
)
def test_the_name_of_an_image_is_not_mistaken_for_a_cause(
    image: str, message: str, expected: str
) -> None:
    assert expected in pull_error(0, message, image).message


@pytest.mark.parametrize(("status", "expected"), [(0, "does not know"), (500, "know (HTTP 500)")])
def test_an_unknown_reason_is_reported_as_unknown_with_its_status(
    status: int, expected: str
) -> None:
    error = pull_error(status, "the moon is full", "a:1")

    assert isinstance(error, ComputeUnavailable)
    assert error.message.endswith(expected)
    assert "docker pull" in error.hint


def test_status_404_alone_means_that_the_image_does_not_exist() -> None:
    assert isinstance(pull_error(404, "", "a:1"), ComputeRefused)
