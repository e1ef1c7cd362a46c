"""The worker's image, built without a registry or a package index, and run as deploy/ describes."""

import json
import shutil
import subprocess
import sys
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any
from uuid import uuid4

import aiohttp
import pytest
import yaml

from landlord_test_target.docker import docker, run_command
from landlord_test_target.harness import Harness, free_port, wait_for

ROOT = Path(__file__).parents[3]
DEBIAN = Path.home() / ".cache" / "landlord-engines" / "debian-12-python.tar"
BASE = "landlord-test/debian:12"
COMPUTE = {"mock": {}, "process": {}, "docker": {}, "ecs": {"region": "eu-west-1"}}
"""All built-in compute engines: the worker does not start if the image lacks a library of any of them."""

FOREIGN = ("--only-binary=:all:", "--python-version=3.11")
"""Options of pip, because the Python in the image may differ from the Python that runs the tests."""


@pytest.fixture(scope="session")
def base() -> str:
    """Build the base image once, which takes minutes, and keep it."""
    script = str(Path(__file__).with_name("debian.sh"))
    subprocess.run(["sh", script, str(DEBIAN)], check=True, timeout=600)
    if BASE not in docker("image", "ls", "--format", "{{.Repository}}:{{.Tag}}").splitlines():
        docker("import", str(DEBIAN), BASE)
    return BASE


@pytest.fixture(scope="session")
def context(wheels: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return the build context of the image: our wheels and those of their dependencies."""
    folder = tmp_path_factory.mktemp("context")
    dist = folder / "dist"
    shutil.copytree(wheels, dist)
    core, restate = (next(dist.glob(f"landlord_engines_{part}-*")) for part in ("core", "restate"))
    machine = docker("version", "--format", "{{.Server.Arch}}").replace("arm64", "aarch64")
    machine = machine.replace("amd64", "x86_64")
    libraries = ("2014", "_2_17", "_2_28", "_2_36")
    platforms = (f"--platform=manylinux{libc}_{machine}" for libc in libraries)
    pip = (sys.executable, "-m", "pip", "download", "--quiet", f"--dest={dist}")
    pins = f"--constraint={ROOT / 'constraints.txt'}"
    run_command(*pip, pins, *FOREIGN, *platforms, f"{core}[docker,ecs]", str(restate))
    return folder


@pytest.fixture(scope="session")
def image(base: str, context: Path) -> Iterator[str]:
    name = f"landlord-test/worker:{uuid4().hex[:12]}"
    arguments = (f"BASE={base}", "PIP_NO_INDEX=1")
    options = [part for argument in arguments for part in ("--build-arg", argument)]
    file = f"--file={ROOT / 'deploy' / 'Dockerfile'}"
    docker("build", "--network=none", f"--tag={name}", file, *options, str(context))
    yield name
    docker("image", "rm", "--force", name)


@pytest.fixture(scope="session")
def compose_worker() -> Mapping[str, Any]:
    """Return the worker's section of the compose file."""
    document = yaml.safe_load((ROOT / "deploy" / "compose.yaml").read_text(encoding="utf-8"))
    worker: Mapping[str, Any] = document["services"]["worker"]
    return worker


@pytest.fixture
def probes() -> int:
    return free_port()


@pytest.fixture
def container(
    image: str, compose_worker: Mapping[str, Any], harness: Harness, probes: int
) -> Iterator[str]:
    """A worker with the compose file's environment and this test's addresses."""
    jobs = free_port()
    environment = {
        **compose_worker["environment"],
        "WORKFLOW_RESTATE_ENDPOINT": harness.restate.endpoint,
        "WORKFLOW_RESTATE_ADMIN_ENDPOINT": harness.restate.admin_endpoint,
        "WORKFLOW_RESTATE_SERVICE_NAME": harness.service,
        "WORKFLOW_RESTATE_WORKER_ADVERTISED_URL": f"http://127.0.0.1:{jobs}",
        "LANDLORD_RESTATE_WORKER_ADDRESS": f"127.0.0.1:{jobs}",
        "COMPUTE": json.dumps(COMPUTE),
        "WORKER_COMPUTE_PROVIDER": "mock",
        "WORKER_PROBE_ADDRESS": f"127.0.0.1:{probes}",
    }
    del environment["WORKFLOW_RESTATE_WORKER_LANDLORD_API_URL"]
    variables = [part for variable in environment.items() for part in ("--env", "=".join(variable))]
    hardened = ("--read-only", "--cap-drop=ALL", "--security-opt=no-new-privileges")
    started = docker("run", "--detach", "--network=host", *hardened, *variables, image)
    yield started
    docker("rm", "--force", started)


async def is_registered(container: str, http: aiohttp.ClientSession, probes: int) -> bool:
    """Check whether the worker reports that it is registered; fail if it does not run."""
    running = docker("inspect", "--format", "{{.State.Running}}", container)
    assert running == "true", docker("logs", container)
    try:
        async with http.get(f"http://127.0.0.1:{probes}/readyz") as response:
            return response.ok and '"registered"' in await response.text()
    except aiohttp.ClientError:
        return False


@pytest.mark.long
async def test_the_image_runs_unprivileged_jobs_of_a_tenant_and_drains_on_a_signal(
    harness: Harness, container: str, compose_worker: Mapping[str, Any], probes: int
) -> None:
    await wait_for(lambda: is_registered(container, harness.http, probes), 60)
    tenant = harness.tenant()
    health = [
        word.replace("9082", str(probes)) for word in compose_worker["healthcheck"]["test"][1:]
    ]

    user = docker("exec", container, "id", "-u")
    docker("exec", container, *health)
    outcomes = [
        await harness.run(tenant, operation, image="x") for operation in ("provision", "delete")
    ]
    docker("kill", "--signal=TERM", container)
    code = docker("wait", container)

    assert compose_worker["read_only"]
    assert user == "10001"
    assert outcomes == ["created", "deleted"]
    assert code == "0", docker("logs", container)
