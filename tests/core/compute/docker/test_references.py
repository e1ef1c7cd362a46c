"""Objects that a container names may be gone or replaced; the daemon here is a double."""

from collections.abc import AsyncIterator
from typing import Any

import pytest
import pytest_asyncio
from pytest_httpserver import HTTPServer

from landlord_engines_core.compute.docker import labels as naming
from landlord_engines_core.compute.docker.client import DockerClient
from landlord_engines_core.compute.docker.observe import Container
from landlord_engines_core.compute.docker.references import (
    find_lost_reference,
    has_outdated_image,
    reattach,
)
from landlord_engines_core.compute.docker.settings import DockerSettings

VOLUME = {"Type": "volume", "Name": "data", "Driver": "local"}


@pytest.fixture
def settings(httpserver: HTTPServer) -> DockerSettings:
    httpserver.expect_request("/version").respond_with_json({"ApiVersion": "1.47"})
    return DockerSettings(host=httpserver.url_for("").rstrip("/"), network_name="net")


@pytest_asyncio.fixture
async def client(settings: DockerSettings) -> AsyncIterator[DockerClient]:
    client = DockerClient(settings)
    yield client
    await client.aclose()


def container(
    *, mode: str = "net", status: str = "running", network_id: str = "old", **more: Any
) -> Container:
    raw = {
        "Id": "x",
        "Config": {"Image": "web:1", "Labels": {}},
        "HostConfig": {"NetworkMode": mode},
        "NetworkSettings": {"Networks": {mode: {"NetworkID": network_id}}},
        "State": {"Status": status, "StartedAt": "2026-01-01T00:00:00.5Z"},
        "Mounts": [],
    }
    return Container({**raw, **more})


def knows(httpserver: HTTPServer, path: str, document: object) -> None:
    httpserver.expect_request(f"/v1.47{path}", method="GET").respond_with_json(document)


def lacks(httpserver: HTTPServer, path: str) -> None:
    httpserver.expect_request(f"/v1.47{path}").respond_with_json({"message": "none"}, 404)


@pytest.mark.parametrize(
    ("driver", "expected"),
    [(None, "a volume of it is gone"), ("nfs", "by another driver"), ("local", "")],
)
async def test_a_reference_to_a_recreated_resource_is_a_difference(
    client: DockerClient, httpserver: HTTPServer, driver: str | None, expected: str
) -> None:
    if driver is None:
        lacks(httpserver, "/volumes/data")
    else:
        knows(httpserver, "/volumes/data", {"Name": "data", "Driver": driver})
    bind = {"Type": "bind", "Source": "/a"}

    lost = await find_lost_reference(client, container(mode="bridge", Mounts=[bind, VOLUME]))

    assert lost.endswith(expected)
    assert bool(lost) == bool(expected)


@pytest.mark.parametrize(
    ("known", "status", "expected"),
    [
        (["new"], "running", "its network was recreated"),
        (["new", "old"], "running", ""),
        ([], "running", ""),
        (["new"], "exited", ""),
    ],
)
async def test_a_running_container_on_a_network_that_was_made_again_has_lost_it(
    client: DockerClient, httpserver: HTTPServer, known: list[str], status: str, expected: str
) -> None:
    knows(httpserver, "/networks", [{"Id": network_id, "Name": "net"} for network_id in known])

    assert await find_lost_reference(client, container(status=status)) == expected


@pytest.mark.parametrize(
    ("started", "expected"),
    [
        ("2025-12-31T00:00:00Z", ""),
        ("2026-01-02T00:00:00.123456789Z", "was restarted"),
        ("2026-01-02T00:00:00", "was restarted"),
        ("", ""),
        ("yesterday", ""),
        # The daemon's clock was set back since: its time says nothing about the order.
        ("2999-01-01T00:00:00Z", ""),
    ],
)
async def test_a_container_that_joined_the_network_of_a_restarted_container_has_lost_it(
    client: DockerClient, httpserver: HTTPServer, started: str, expected: str
) -> None:
    knows(httpserver, "/containers/other/json", {"Id": "other", "State": {"StartedAt": started}})

    lost = await find_lost_reference(client, container(mode="container:other"))

    assert lost.endswith(expected)
    assert bool(lost) == bool(expected)


async def test_a_container_without_a_recorded_image_id_is_not_compared_by_image(
    client: DockerClient, httpserver: HTTPServer
) -> None:
    labels = {"Image": "web:1", "Labels": {naming.IMAGE: "former"}}
    knows(httpserver, "/images/web:1/json", {"Id": "present"})

    assert not await has_outdated_image(client, container())
    assert await has_outdated_image(client, container(Config=labels))


@pytest.mark.parametrize(
    ("more", "asks"),
    [
        ({"status": "running"}, False),
        ({"network_id": ""}, False),
        ({"mode": "bridge"}, False),
        ({"mode": "another"}, True),
    ],
)
async def test_only_a_stopped_container_on_a_former_network_is_connected_again(
    client: DockerClient,
    settings: DockerSettings,
    httpserver: HTTPServer,
    more: dict[str, str],
    *,
    asks: bool,
) -> None:
    knows(httpserver, "/networks", [])

    await reattach(client, settings, container(**{"status": "exited", **more}))

    # The operator's network would be made; of another name nothing is known to make it by.
    assert [request.method for request, _ in httpserver.log if "net" in request.path] == (
        ["GET"] if asks else []
    )
