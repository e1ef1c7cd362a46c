"""Rare cases in which another worker repeatedly changes the same tenant at the same time."""

import json
import re
from collections.abc import AsyncIterator
from typing import Any

import pytest
import pytest_asyncio
from pytest_httpserver import HTTPServer
from werkzeug import Request, Response

from landlord_engines_core.compute import ResourceState
from landlord_engines_core.compute.docker import labels as naming
from landlord_engines_core.compute.docker.config import read_config
from landlord_engines_core.compute.docker.engine import DockerCompute
from landlord_engines_core.compute.docker.requests import build_body
from landlord_engines_core.errors import ComputeRefused, ComputeUnavailable
from landlord_test_target.compute_engines import docker_engine
from landlord_test_target.docker import spec

MINE = naming.identity_labels("landlord", "t")


@pytest_asyncio.fixture
async def engine(httpserver: HTTPServer) -> AsyncIterator[DockerCompute]:
    engine = docker_engine({"host": httpserver.url_for("").rstrip("/")})
    yield engine
    await engine.aclose()


@pytest.fixture
def fake(httpserver: HTTPServer) -> "FakeDaemon":
    return FakeDaemon(httpserver)


class FakeDaemon:
    """A daemon with prepared answers."""

    def __init__(self, server: HTTPServer) -> None:
        self.server = server
        server.expect_request("/version").respond_with_json({"ApiVersion": "1.47"})
        self.respond("GET", "/images/landlord-test/web:1/json", 200, {"Id": "sha256:web"})

    def respond(self, method: str, path: str, status: int, document: object) -> None:
        request = self.server.expect_request(f"/v1.47{path}", method=method)
        request.respond_with_json(document, status)

    def respond_with_containers(self, *containers: dict[str, Any]) -> None:
        self.respond("GET", "/containers/json", 200, list(containers))

    def requests(self, method: str, path: str) -> int:
        expected = (method, f"/v1.47{path}")
        return sum(
            1 for request, _ in self.server.log if (request.method, request.path) == expected
        )


async def test_containers_that_vanish_or_belong_to_others_are_not_listed(
    engine: DockerCompute, fake: FakeDaemon
) -> None:
    other = {**MINE, naming.DIGEST: "another's"}
    plain: list[dict[str, Any]] = [{"Id": "null", "Labels": None}, {"Id": "missing"}]
    fake.respond_with_containers(
        {"Id": "gone", "Labels": MINE}, {"Id": "other", "Labels": other}, *plain
    )
    fake.respond("GET", "/containers/gone/json", 404, {"message": "gone"})

    assert (await engine.inspect("t", "")).state is ResourceState.MISSING

    assert fake.requests("GET", "/containers/other/json") == 0


async def test_a_create_fails_for_now_if_its_name_stays_taken_by_an_invisible_container(
    engine: DockerCompute, fake: FakeDaemon
) -> None:
    name = naming.current_name("landlord", "t")
    fake.respond_with_containers()
    fake.respond("POST", "/containers/create", 409, {"message": "in use"})
    raw = {"Id": "x", "Name": f"/{name}", "Config": {"Labels": MINE}}
    fake.respond("GET", f"/containers/{name}/json", 200, raw)

    with pytest.raises(ComputeUnavailable, match="another change is under way"):
        await engine.provision(spec("t"))

    assert fake.requests("POST", "/containers/create") > 1


async def test_a_delete_fails_for_now_if_new_containers_keep_appearing(
    engine: DockerCompute, fake: FakeDaemon
) -> None:
    fake.respond_with_containers({"Id": "x", "Labels": MINE})
    raw = {"Id": "x", "Name": "/x", "Config": {"Labels": MINE}, "Created": "", "Mounts": []}
    fake.respond("GET", "/containers/x/json", 200, {**raw, "State": {"Status": "running"}})
    # The container is missing at the stop, and exists again at the next inspect.
    fake.respond("POST", "/containers/x/stop", 404, {"message": "gone"})

    with pytest.raises(ComputeUnavailable, match="appear while they are removed"):
        await engine.destroy("t", "")

    assert fake.requests("POST", "/containers/x/stop") > 1


async def test_a_configuration_of_the_wrong_form_is_refused_without_its_schema_too(
    engine: DockerCompute,
) -> None:
    with pytest.raises(ComputeRefused, match=r"\$.image must be a string"):
        engine.validate({"image": 7})


async def test_a_pull_whose_stream_ended_early_is_tried_again(
    engine: DockerCompute, fake: FakeDaemon
) -> None:
    fake.respond_with_containers()
    fake.respond("GET", "/images/other:1/json", 404, {"message": "no such image"})
    fake.respond("POST", "/images/create", 200, {})

    with pytest.raises(ComputeUnavailable, match="is missing although it was pulled"):
        await engine.provision(spec("t", image="other:1"))

    assert fake.requests("POST", "/images/create") == 1


async def test_a_restarting_container_is_stopped_before_its_rename(
    engine: DockerCompute, fake: FakeDaemon
) -> None:
    tenant_spec = spec("t")
    body = build_body(tenant_spec, read_config(tenant_spec.config), engine.settings)
    name, replacement = (
        name_of("landlord", "t") for name_of in (naming.current_name, naming.next_name)
    )
    raw = {
        "Id": "x",
        "Name": f"/{replacement}",
        "State": {"Status": "running", "StartedAt": "2020-01-01T00:00:00Z"},
        "RestartCount": 0,
        "Config": body,
        "HostConfig": body["HostConfig"],
        "NetworkSettings": {"Networks": {"bridge": {}}, "Ports": {}},
        "Mounts": [],
    }
    requests: list[str] = []

    def rename_at_second_try(request: Request) -> Response:
        requests.append(request.path.rpartition("/")[2])
        if requests == ["rename"]:
            return Response('{"message": "sandbox not found"}', 404, mimetype="application/json")
        raw["Name"] = f"/{request.args.get('name', name)}"
        return Response(status=204)

    fake.respond_with_containers({"Id": "x", "Labels": body["Labels"]})
    fake.server.expect_request("/v1.47/containers/x/json").respond_with_handler(
        lambda _: Response(json.dumps(raw), 200, mimetype="application/json")
    )
    fake.server.expect_request(re.compile("/v1.47/containers/x/.*")).respond_with_handler(
        rename_at_second_try
    )

    result = await engine.provision(tenant_spec)

    assert requests == ["rename", "stop", "rename", "start"]
    assert raw["Name"] == f"/{name}"
    assert result.resource_ids == {"container_id": "x"}


async def test_an_update_that_never_becomes_healthy_takes_its_health_timeout_and_two_stops() -> (
    None
):
    engine = docker_engine({"health_timeout": 280, "stop_timeout": 10})

    assert engine.longest_switch == 300
