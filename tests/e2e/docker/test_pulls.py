"""Images from a real registry, Debian's docker-registry, with and without credentials."""

import json
import subprocess
from collections.abc import AsyncIterator, Callable
from pathlib import Path

import aiohttp
import pytest
import pytest_asyncio
from pytest_httpserver import HTTPServer

from landlord_engines_core.compute.docker.engine import DockerCompute
from landlord_engines_core.errors import ComputeRefused, ComputeUnavailable
from landlord_test_target.docker import WEB, TenantContainers, docker, spec
from landlord_test_target.harness import free_port, wait_for

MakeEngine = Callable[..., DockerCompute]

GZIP = b"\x1f\x8b"
"""The first bytes of each layer in a registry."""

USER, PASSWORD = "puller", "sesame-open"
HASH = "$2b$04$THalY.TYrocDE5gTl7k9d.LnJvvRK5wNxR752y6DVkNTB.KJEoImO"
"""The password as htpasswd writes it."""


class Registry:
    """A registry that can be stopped; with ``requires_login`` it asks for the password."""

    def __init__(self, folder: Path, *, requires_login: bool) -> None:
        self.folder = folder
        self.address = f"127.0.0.1:{free_port()}"
        (folder / "htpasswd").write_text(f"{USER}:{HASH}\n")
        auth = (
            f"auth: {{htpasswd: {{realm: here, path: {folder}/htpasswd}}}}\n"
            if requires_login
            else ""
        )
        (folder / "registry.yml").write_text(
            f"version: 0.1\nstorage: {{filesystem: {{rootdirectory: {folder}/images}}}}\n"
            f"http: {{addr: {self.address}}}\n{auth}"
        )
        command = ["docker-registry", "serve", str(folder / "registry.yml")]
        with (folder / "log").open("wb") as log:
            self.process = subprocess.Popen(command, stdout=log, stderr=log)

    def stop(self) -> None:
        self.process.kill()
        self.process.wait()

    def push(self, version: int) -> str:
        """Push a version of the web server to the registry, and remove it from the daemon."""
        image = f"{self.address}/web:1"
        login = ("--config", str(self.folder))
        docker("tag", f"{WEB}:{version}", image)
        docker(*login, "login", "-u", USER, "-p", PASSWORD, self.address)
        docker(*login, "push", "-q", image)
        docker("rmi", image)
        return image

    def credentials(self, password: str) -> dict[str, object]:
        return {"registries": {self.address: {"username": USER, "password": password}}}


@pytest.fixture(params=[False, True], ids=["open", "login"])
def requires_login(request: pytest.FixtureRequest) -> bool:
    return bool(request.param)


@pytest_asyncio.fixture(loop_scope="session")
async def registry(
    tmp_path: Path, http: aiohttp.ClientSession, *, requires_login: bool
) -> AsyncIterator[Registry]:
    registry = Registry(tmp_path, requires_login=requires_login)

    async def is_answering() -> bool:
        try:
            async with http.get(f"http://{registry.address}/v2/") as answer:
                return answer.status in (200, 401)
        except aiohttp.ClientError:
            return False

    await wait_for(is_answering)
    yield registry
    registry.stop()
    name = '{{.Repository}}{{if eq .Tag "<none>"}}@{{.Digest}}{{else}}:{{.Tag}}{{end}}'
    names = docker("images", "--digests", f"--format={name}", f"{registry.address}/*")
    for name in names.splitlines():
        docker("rmi", name)


async def test_a_missing_image_is_pulled_with_the_operators_credentials(
    make_engine: MakeEngine, tenant: TenantContainers, registry: Registry
) -> None:
    image = registry.push(1)
    engine = make_engine(**registry.credentials(PASSWORD))

    await engine.provision(spec(tenant.tenant, image=image))

    assert tenant.only_container["Config"]["Image"] == image
    assert PASSWORD not in repr(engine)


@pytest.mark.parametrize("requires_login", [True], indirect=True)
@pytest.mark.parametrize("password", ["", "wrong"])
async def test_a_denial_of_a_registry_is_reported_without_credentials(
    make_engine: MakeEngine, tenant: TenantContainers, registry: Registry, password: str
) -> None:
    image = registry.push(1)
    engine = make_engine(**(registry.credentials(password) if password else {}))

    with pytest.raises(ComputeRefused, match="the registry denies the image") as caught:
        await engine.provision(spec(tenant.tenant, image=image))

    assert "compute.docker.registries" in caught.value.hint
    assert image not in str(caught.value)
    assert not password or password not in str(caught.value)


@pytest.mark.parametrize("requires_login", [False], indirect=True)
@pytest.mark.parametrize("name", ["none:1", "web:none"])
async def test_an_image_that_does_not_exist_is_refused(
    engine: DockerCompute, tenant: TenantContainers, registry: Registry, name: str
) -> None:
    registry.push(1)

    with pytest.raises(ComputeRefused, match=r"the image in \$.image does not exist"):
        await engine.provision(spec(tenant.tenant, image=f"{registry.address}/{name}"))


@pytest.mark.parametrize("requires_login", [False], indirect=True)
async def test_an_unreachable_registry_is_retried_and_the_current_container_is_kept(
    engine: DockerCompute, tenant: TenantContainers, registry: Registry
) -> None:
    image = registry.push(2)
    await engine.provision(spec(tenant.tenant))
    serving = tenant.ids
    registry.stop()

    with pytest.raises(ComputeUnavailable, match=r"the registry of .* does not answer"):
        await engine.update(spec(tenant.tenant, image=image))

    assert tenant.ids == serving


@pytest.mark.parametrize("requires_login", [False], indirect=True)
async def test_always_pulls_the_current_image_of_the_registry(
    engine: DockerCompute, tenant: TenantContainers, registry: Registry
) -> None:
    image = registry.push(2)
    docker("tag", f"{WEB}:1", image)

    await engine.provision(spec(tenant.tenant, image=image))
    local = tenant.only_container["Image"]
    await engine.update(spec(tenant.tenant, image=image, pull_policy="always"))

    assert tenant.only_container["Image"] != local


@pytest.mark.parametrize("requires_login", [False], indirect=True)
async def test_always_replaces_a_container_whose_tag_has_a_new_image(
    engine: DockerCompute, tenant: TenantContainers, registry: Registry
) -> None:
    image = registry.push(1)
    desired = spec(tenant.tenant, image=image, pull_policy="always")
    await engine.provision(desired)
    first = tenant.only_container
    await engine.provision(desired)
    assert tenant.only_container["Id"] == first["Id"]
    registry.push(2)

    await engine.provision(desired)

    assert tenant.only_container["Image"] == docker(
        "image", "inspect", "--format", "{{.Id}}", f"{WEB}:2"
    )


@pytest.mark.parametrize("requires_login", [False], indirect=True)
async def test_an_image_without_the_daemons_platform_is_refused_with_that_reason(
    engine: DockerCompute, tenant: TenantContainers, registry: Registry, http: aiohttp.ClientSession
) -> None:
    image = registry.push(1)
    media = "application/vnd.docker.distribution.manifest.v2+json"
    address = f"http://{registry.address}/v2/web/manifests"
    async with http.get(f"{address}/1", headers={"Accept": media}) as answer:
        body, digest = await answer.read(), answer.headers["Docker-Content-Digest"]
    listed = {
        "mediaType": media,
        "size": len(body),
        "digest": digest,
        "platform": {"os": "linux", "architecture": "s390x"},
    }
    kind = "application/vnd.docker.distribution.manifest.list.v2+json"
    document = {"schemaVersion": 2, "mediaType": kind, "manifests": [listed]}
    headers = {"Content-Type": kind}
    async with http.put(f"{address}/1", data=json.dumps(document), headers=headers) as answer:
        assert answer.status == 201

    with pytest.raises(ComputeRefused, match="not made for the platform") as caught:
        await engine.provision(spec(tenant.tenant, image=image))

    assert "HTTP" not in str(caught.value)
    assert tenant.ids == []


@pytest.mark.parametrize("requires_login", [False], indirect=True)
async def test_a_damaged_layer_of_the_registry_is_reported_as_such(
    engine: DockerCompute, tenant: TenantContainers, registry: Registry
) -> None:
    # The daemon has the layers of its own images, so this image needs other layers.
    name = f"{registry.address}/web:other"
    container = docker("run", "-d", f"{WEB}:3", "sh", "-c", f"echo {tenant.tenant} > /www/id")
    docker("wait", container)
    docker("commit", container, name)
    docker("rm", "-v", container)
    docker("push", "-q", name)
    docker("rmi", name)
    for blob in (registry.folder / "images").rglob("data"):
        content = blob.read_bytes()
        if content.startswith(GZIP):
            blob.write_bytes(content[:-1] + b"x")

    with pytest.raises(ComputeUnavailable, match="arrived damaged"):
        await engine.provision(spec(tenant.tenant, image=name))


async def test_a_rate_limit_of_a_registry_is_answered_with_the_requested_pause(
    engine: DockerCompute, tenant: TenantContainers, httpserver: HTTPServer
) -> None:
    """The registry is simulated, because a test cannot use a real one with limits."""
    message = {"code": "TOOMANYREQUESTS", "message": "retry-after: 90s, allowed: 10/minute"}
    httpserver.expect_request("/v2/").respond_with_data("")
    httpserver.expect_request("/v2/web/manifests/1").respond_with_json({"errors": [message]}, 429)

    with pytest.raises(ComputeUnavailable, match="limits the rate") as caught:
        await engine.provision(spec(tenant.tenant, image=f"localhost:{httpserver.port}/web:1"))

    assert caught.value.retry_after == 90
