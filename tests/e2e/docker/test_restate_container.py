"""restate-server in a container, from an image that is built locally."""

import asyncio
import os
import re
import signal
import sys
from asyncio.subprocess import PIPE
from collections.abc import AsyncIterator
from pathlib import Path
from uuid import uuid4

import aiohttp
import pytest
import pytest_asyncio

from landlord_engines_core.engine import LocalBackend
from landlord_engines_core.errors import EngineFailed
from landlord_engines_restate import RestateSettings, factory
from landlord_engines_restate.local.binary import server_binary
from landlord_engines_restate.local.container import RestateContainer
from landlord_test_target.docker import docker, run_command
from landlord_test_target.harness import Harness, Worker, wait_for

HOST = Path(sys.executable).with_name("landlord-host")
IMAGES = "landlord-engines/restate-server"


def images() -> list[str]:
    """List the images of all restate-servers in containers, including those of other tests."""
    return docker("image", "ls", IMAGES, "--format", "{{.Repository}}:{{.Tag}}").splitlines()


def image_at(admin: str) -> str:
    """Return the image of the restate-server with this admin API; empty if there is none."""
    for line in docker("ps", "-a", "--format", "{{.ID}} {{.Image}}").splitlines():
        container, image = line.split()
        if image.startswith(IMAGES):
            config = run_command("docker", "cp", f"{container}:/restate.toml", "-")
            if f"bind-port = {admin.rpartition(':')[2]}\n" in config:
                return image
    return ""


def leftovers(image: str) -> list[str]:
    containers = docker("ps", "-aq", "--filter", f"ancestor={image}").splitlines()
    return [*containers, *(listed for listed in images() if listed == image)]


@pytest_asyncio.fixture(loop_scope="session")
async def backend(tmp_path: Path) -> AsyncIterator[LocalBackend]:
    start = factory.other_local_backends["container"]
    async with start(RestateSettings(), tmp_path / "backend") as backend:
        image = image_at(backend.settings["admin_endpoint"])
        assert image
        yield backend
    assert leftovers(image) == []


@pytest_asyncio.fixture(loop_scope="session")
async def worker(backend: LocalBackend, tmp_path: Path) -> AsyncIterator[Worker]:
    config = {
        "compute": {"mock": {"placeholder": "1"}},
        "workflow": {"restate": dict(backend.settings)},
        "worker": {"probe_address": ""},
    }
    worker = await Worker(config=config, folder=tmp_path).start()
    yield await worker.wait_registered()
    worker.send_signal(signal.SIGTERM)
    await worker.wait_ended()


async def run_job(backend: LocalBackend, tenant: str, operation: str) -> object:
    """Dispatch a job, wait for its end, and return its outcome."""
    body = Harness.body(tenant, operation, {"image": "x"})
    job = await backend.dispatcher.dispatch(body)

    async def check() -> bool:
        return (polled := await backend.dispatcher.poll(job)) is not None and polled.state.has_ended

    await wait_for(check)
    url = f"{backend.settings['endpoint']}/restate/invocation/{job}/output"
    async with aiohttp.ClientSession() as http, http.get(url) as response:
        return (await response.json(content_type=None))["output"]["status"]


@pytest.mark.long
@pytest.mark.usefixtures("worker")
async def test_restate_in_a_container_runs_the_jobs_of_a_tenant(backend: LocalBackend) -> None:
    tenant = str(uuid4())

    operations = ("provision", "provision", "delete", "delete")
    outcomes = [await run_job(backend, tenant, operation) for operation in operations]

    assert outcomes == ["created", "unchanged", "deleted", "absent"]


async def test_the_dev_command_runs_restate_in_a_container_and_ctrl_c_leaves_nothing(
    tmp_path: Path,
) -> None:
    process = await asyncio.create_subprocess_exec(
        *(HOST, "--engine=restate", "dev", "--backend=container"),
        env={**os.environ, "TMPDIR": str(tmp_path), "LOG_LEVEL": "warn"},
        stdout=PIPE,
        stderr=PIPE,
    )
    assert process.stdout is not None
    async with asyncio.timeout(120):
        lines = (await process.stdout.readuntil(b"Ctrl-C")).decode()
    (admin,) = re.findall(r"^admin_endpoint\s+(\S+)$", lines, re.MULTILINE)
    image = image_at(admin)

    process.send_signal(signal.SIGINT)
    _, errors = await asyncio.wait_for(process.communicate(), 60)

    assert process.returncode == 0, errors.decode()
    assert image
    assert leftovers(image) == []
    assert list(tmp_path.iterdir()) == []


async def test_a_program_that_ends_is_reported_with_its_last_output(tmp_path: Path) -> None:
    server = RestateContainer(binary=Path("/bin/busybox").resolve(), folder=tmp_path)

    with pytest.raises(EngineFailed, match="ended with status 127") as caught:
        await server.start()

    assert "applet not found" in caught.value.hint
    assert leftovers(server.image) == []


@pytest.mark.long
async def test_stopping_a_container_that_somebody_removed_succeeds(tmp_path: Path) -> None:
    server = RestateContainer(binary=await server_binary(), folder=tmp_path / "data")
    await server.start()
    docker("rm", "-f", docker("ps", "-q", "--filter", f"ancestor={server.image}"))

    await server.stop()

    assert leftovers(server.image) == []


@pytest.mark.parametrize("moment", ["the image is made", "it does not answer yet"])
async def test_a_start_that_is_cancelled_leaves_nothing(tmp_path: Path, moment: str) -> None:
    server = RestateContainer(binary=await server_binary(), folder=tmp_path / "data")
    starting = asyncio.create_task(server.start())

    async def check() -> bool:
        if moment == "the image is made":
            return (server.folder / "image" / "restate-server").exists()
        return bool(docker("ps", "-aq", "--filter", f"ancestor={server.image}"))

    await wait_for(check, 120)
    starting.cancel()
    with pytest.raises(asyncio.CancelledError):
        await starting

    assert leftovers(server.image) == []
