"""The worker's image, and the commands of docs/operating/containers.md in their order.

There is no registry: the images of Debian and Restate are built here, and pip gets its wheels from a
folder. Landlord in memory plays Landlord.
"""

import json
import os
import resource
import subprocess
from collections.abc import AsyncIterator, Iterator, Mapping
from pathlib import Path
from typing import Any
from uuid import uuid4

import aiohttp
import attrs
import pytest
import pytest_asyncio
import yaml
from packaging.utils import canonicalize_name

from landlord_engines_core.dev import User
from landlord_engines_restate.local.binary import server_binary
from landlord_engines_restate.local.container import write_context
from landlord_test_target.docker import (
    WEB,
    TenantContainers,
    address,
    docker,
    run_command,
)
from landlord_test_target.documents import read_commands
from landlord_test_target.harness import Harness, free_port, wait_for
from landlord_test_target.shell import Shell, open_shell

ROOT = Path(__file__).parents[3]
DOCUMENT = [command.command for command in read_commands("docs/operating/containers.md")]
BUILD = DOCUMENT[: DOCUMENT.index("cd deploy")]
COMPOSE = DOCUMENT[DOCUMENT.index("cd deploy") :]
COMPUTE = {"mock": {}, "process": {}, "docker": {}, "ecs": {"region": "eu-west-1"}}
"""All built-in compute engines: the worker does not start if the image lacks a library of any of them."""

SOCKET = Path("/var/run/docker.sock")
GROUP = f"--group-add={SOCKET.stat().st_gid}" if SOCKET.exists() else ""


@pytest.fixture(scope="session")
def plugins() -> Path:
    """Return a folder of Docker's settings that has compose as a plugin."""
    folder = Path.home() / ".cache" / "landlord-engines" / "docker-compose-2"
    script = str(Path(__file__).with_name("compose.sh"))
    subprocess.run(["sh", script, str(folder)], check=True, timeout=300)
    return folder


def name_image(kind: str) -> str:
    return f"landlord-test/{kind}:{uuid4().hex[:12]}"


@pytest_asyncio.fixture(scope="session", loop_scope="session")
async def image(base: str, clone: Path) -> AsyncIterator[str]:
    """Build the image with the documented commands."""
    name = name_image("worker")
    offline = f"docker build --network=none --build-arg BASE={base} --build-arg PIP_NO_INDEX=1"
    names = {"nox -s build": "ls dist", "docker build": offline, "landlord-worker:0.1.0": name}
    git = run_command("git", "-C", str(ROOT), "rev-parse", "--absolute-git-dir")
    environment = {"GIT_DIR": git}
    async with open_shell(clone, environment=environment, names=names, within=300) as shell:
        *_, printed = [await shell.run(command) for command in BUILD]
    assert printed == "landlord-host, version 0.1.0"
    yield name
    docker("image", "rm", "--force", name)


@pytest_asyncio.fixture(scope="session", loop_scope="session")
async def restate_image(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[str]:
    """Build an image of restate-server with its default settings, as Restate's own has."""
    context = tmp_path_factory.mktemp("restate") / "image"
    write_context(context, await server_binary(), settings="")
    name = name_image("restate")
    docker("build", f"--tag={name}", str(context))
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
def container(image: str, harness: Harness, probes: int) -> Iterator[str]:
    """A worker on this test's Restate, with all compute engines."""
    jobs = free_port()
    restate = {
        "ADMIN_ENDPOINT": harness.restate.admin_endpoint,
        "SERVICE_NAME": harness.service,
        "WORKER_ADDRESS": f"127.0.0.1:{jobs}",
    }
    environment = {
        **{f"WORKFLOW_RESTATE_{key}": value for key, value in restate.items()},
        "COMPUTE": json.dumps(COMPUTE),
        "WORKER_COMPUTE_PROVIDER": "mock",
        "WORKER_PROBE_ADDRESS": f"127.0.0.1:{probes}",
    }
    variables = [part for variable in environment.items() for part in ("--env", "=".join(variable))]
    hardened = ("--read-only", "--cap-drop=ALL", "--security-opt=no-new-privileges")
    socket = (f"--volume={SOCKET}:{SOCKET}", GROUP)
    started = docker("run", "--detach", "--network=host", *hardened, *socket, *variables, image)
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
async def test_the_image_runs_unprivileged_jobs_of_tenants_and_drains_on_a_signal(
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
        await harness.run(tenant, operation, provider, image=f"{WEB}:1")
        for operation, provider in (("provision", "mock"), ("update", "docker"), ("delete", None))
    ]
    docker("kill", "--signal=TERM", container)
    code = docker("wait", container)

    assert compose_worker["read_only"]
    assert user == "10001"
    assert outcomes == ["created", "created", "deleted"]
    assert TenantContainers(tenant).ids == []
    assert code == "0", docker("logs", container)


@pytest.mark.long
async def test_the_image_holds_the_pinned_versions_and_no_wheel(image: str) -> None:
    pins = (ROOT / "constraints.txt").read_text(encoding="utf-8").splitlines()
    script = "import importlib.metadata as m; [print(d.name, d.version) for d in m.distributions()]"
    python = ("run", "--rm", "--entrypoint=/opt/landlord/bin/python", image, "-c", script)

    installed = dict(line.split() for line in docker(*python).splitlines())
    labels = json.loads(docker("inspect", "--format", "{{json .Config.Labels}}", image))
    wheels = docker(
        "run", "--rm", "--entrypoint=find", image, "/", "-xdev", "-name", "landlord*.whl"
    )

    pinned = {line.partition(";")[0].strip() for line in pins}
    assert {
        f"{canonicalize_name(name)}=={version}"
        for name, version in installed.items()
        if not name.startswith("landlord")
    } <= pinned
    assert labels["org.opencontainers.image.version"] == "0.1.0"
    assert len(labels["org.opencontainers.image.revision"]) == 40
    assert wheels == ""


@attrs.frozen(kw_only=True)
class Compose:
    """The services of the compose file.

    Attributes:
        ports: The own port for each documented one.
    """

    shell: Shell
    user: User
    ports: Mapping[int, int]


@pytest_asyncio.fixture(loop_scope="session")
async def compose(
    image: str, restate_image: str, plugins: Path, clone: Path, http: aiohttp.ClientSession
) -> AsyncIterator[Compose]:
    """A shell with the compose file, whose services end after the test."""
    ports = {documented: free_port() for documented in (8080, 9070, 9082, 8081)}
    names = {
        **{f"127.0.0.1:{documented}": f"127.0.0.1:{own}" for documented, own in ports.items()},
        "nginx:stable": f"{WEB}:1",
        "curl ": "curl --silent --show-error --fail ",
    }
    override = write_override(clone, image, restate_image, ports)
    project = f"landlord-test-{uuid4().hex[:8]}"
    environment = {
        "COMPOSE_FILE": os.pathsep.join(("compose.yaml", str(override))),
        "COMPOSE_PROJECT_NAME": project,
        "DOCKER_CONFIG": str(plugins),
    }
    user = User(landlord=f"http://127.0.0.1:{ports[8081]}/v1", http=http)
    async with open_shell(clone, environment=environment, names=names, within=300) as shell:
        yield Compose(shell=shell, user=user, ports=ports)
        await shell.run(COMPOSE[-1])
    docker("volume", "rm", "--force", f"{project}_restate-data")


@pytest.mark.long
async def test_the_compose_file_runs_a_tenant_with_the_documented_commands(
    compose: Compose, http: aiohttp.ClientSession
) -> None:
    creates = next(number for number, line in enumerate(COMPOSE) if "/v1/tenants -d" in line)
    ready, created = [await compose.shell.run(line) for line in COMPOSE[: creates + 1]][-2:]
    tenant = json.loads(created.splitlines()[-1])["id"]
    await compose.user.wait_ready(tenant)
    container = TenantContainers(tenant).only_container
    served = await compose.user.page(f"http://{address(container)}:8080/")
    shown, listed, log = [await compose.shell.run(line) for line in COMPOSE[creates + 1 : -1]]
    async with http.get(f"http://127.0.0.1:{compose.ports[9070]}/ui") as page:
        status = page.status

    await compose.user.delete(tenant)
    await wait_for(lambda: is_gone(compose.user, tenant))
    await compose.shell.run("docker compose stop worker")
    codes = await compose.shell.run("docker compose ps --all --format '{{.Service}} {{.ExitCode}}'")

    assert '"registered"' in ready
    assert '"ready"' in shown
    assert container["Id"][:12] in listed
    assert "registration changed" in log
    assert served == ["1"]
    assert status == 200
    assert TenantContainers(tenant).ids == []
    assert "worker 0" in codes.splitlines()


async def is_gone(user: User, tenant: str) -> bool:
    return not await user.tenant(tenant)


def open_files() -> int:
    """Return the compose file's limit of open files, or that of this machine if it is lower."""
    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    return min(65536, hard)


def write_override(clone: Path, image: str, restate: str, ports: Mapping[int, int]) -> Path:
    """Write the images and the ports of this test, and Landlord in memory, into a second file."""
    stand_in = Path(__file__).with_name("landlord_stand_in.py")
    override = clone / "override.yaml"
    override.write_text(
        f"""\
services:
  restate:
    image: {restate}
    ports: !override ["127.0.0.1:{ports[8080]}:8080", "127.0.0.1:{ports[9070]}:9070"]
  worker:
    image: {image}
    ports: !override ["127.0.0.1:{ports[9082]}:9082"]
    ulimits: {{nofile: {{soft: 1024, hard: {open_files()}}}}}
  landlord:
    image: {image}
    entrypoint: [python3, /stand_in.py]
    volumes: ["./landlord.yaml:/etc/landlord/config.yaml:ro", "{stand_in}:/stand_in.py:ro"]
    ports: ["127.0.0.1:{ports[8081]}:8080"]
""",
        encoding="utf-8",
    )
    return override
