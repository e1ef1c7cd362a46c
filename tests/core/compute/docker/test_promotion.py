"""A container that the daemon cannot rename while it runs serves again after any outcome."""

from collections.abc import AsyncIterator

import pytest
import pytest_asyncio
from pytest_httpserver import HTTPServer

from landlord_engines_core.compute.docker.client import DockerClient
from landlord_engines_core.compute.docker.errors import Conflict
from landlord_engines_core.compute.docker.promotion import Promotion
from landlord_engines_core.compute.docker.settings import DockerSettings
from landlord_engines_core.compute.in_flight import pass_by

BASE = "/v1.47/containers/x"


@pytest_asyncio.fixture
async def placing(httpserver: HTTPServer) -> AsyncIterator[Promotion]:
    httpserver.expect_oneshot_request("/version").respond_with_json({"ApiVersion": "1.47"})
    settings = DockerSettings(host=httpserver.url_for("").rstrip("/"))
    client = DockerClient(settings)
    yield Promotion(client=client, settings=settings, name="t", reached=pass_by)
    await client.aclose()


def answer(httpserver: HTTPServer, path: str, status: int) -> None:
    request = httpserver.expect_oneshot_request(f"{BASE}/{path}", method="POST")
    request.respond_with_json({"message": ""}, status)


@pytest.mark.parametrize("second", [204, 409])
async def test_the_next_container_is_stopped_renamed_and_started(
    placing: Promotion, httpserver: HTTPServer, second: int
) -> None:
    httpserver.expect_request(f"{BASE}/json").respond_with_json({"Name": "/other"})
    for path, status in (("rename", 404), ("stop", 204), ("rename", second), ("start", 204)):
        answer(httpserver, path, status)

    if second == 204:
        await placing.rename("x")
    else:
        with pytest.raises(Conflict):
            await placing.rename("x")

    requests = [request.path for request, _ in httpserver.log if request.method == "POST"]
    assert requests == [f"{BASE}/{path}" for path in ("rename", "stop", "rename", "start")]
