"""A real Docker daemon for the tests in this folder; without one they fail."""

import shutil
import subprocess
import sys
from collections.abc import AsyncIterator, Callable, Iterator
from pathlib import Path
from uuid import uuid4

import pytest
import pytest_asyncio

from landlord_engines_core.compute.docker.engine import DockerCompute
from landlord_test_target import compute_engines
from landlord_test_target.docker import (
    SETTINGS,
    TenantContainers,
    docker,
    make_images,
    run_command,
    start_daemon,
)

MakeEngine = Callable[..., DockerCompute]

ROOT = Path(__file__).parents[3]
DEBIAN = Path.home() / ".cache" / "landlord-engines" / "debian-12-python-systemd.tar"
BASE = "landlord-test/debian:12-systemd"

FOREIGN = ("--only-binary=:all:", "--python-version=3.11")
"""Options of pip, because the Python in a container may differ from the Python that runs the tests."""


@pytest.fixture(scope="session", autouse=True)
def docker_daemon() -> None:
    start_daemon()
    make_images()


@pytest_asyncio.fixture(loop_scope="session")
async def make_engine() -> AsyncIterator[MakeEngine]:
    """A function that creates a compute engine without memory of earlier ones, as in a new process."""
    created: list[DockerCompute] = []

    def make(reached: Callable[[str], None] = lambda _: None, **section: object) -> DockerCompute:
        engine = compute_engines.docker_engine({**SETTINGS, **section}, reached=reached)
        created.append(engine)
        return created[-1]

    yield make
    for engine in created:
        await engine.aclose()


@pytest.fixture
def engine(make_engine: MakeEngine) -> DockerCompute:
    return make_engine()


@pytest.fixture
def tenant() -> Iterator[TenantContainers]:
    """A new tenant for each test."""
    containers = TenantContainers(str(uuid4()))
    yield containers
    containers.remove_all()


@pytest.fixture(scope="session")
def base() -> str:
    """Build the base image once, which takes minutes, and keep it."""
    script = str(Path(__file__).with_name("debian.sh"))
    subprocess.run(["sh", script, str(DEBIAN)], check=True, timeout=900)
    if BASE not in docker("image", "ls", "--format", "{{.Repository}}:{{.Tag}}").splitlines():
        docker("import", str(DEBIAN), BASE)
    return BASE


@pytest.fixture(scope="session")
def clone(wheels: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a clone's files for the image: our wheels, and those of their dependencies."""
    folder = tmp_path_factory.mktemp("clone")
    shutil.copytree(ROOT / "deploy", folder / "deploy")
    for name in ("constraints.txt", ".dockerignore"):
        shutil.copy(ROOT / name, folder)
    dist = folder / "dist"
    shutil.copytree(wheels, dist)
    core, restate = (next(dist.glob(f"landlord_engines_{part}-*")) for part in ("core", "restate"))
    machine = docker("version", "--format", "{{.Server.Arch}}").replace("arm64", "aarch64")
    machine = machine.replace("amd64", "x86_64")
    libraries = ("2014", "_2_17", "_2_28", "_2_36")
    platforms = (f"--platform=manylinux{libc}_{machine}" for libc in libraries)
    pip = (sys.executable, "-m", "pip", "download", "--quiet", f"--dest={dist}")
    pins = f"--constraint={ROOT / 'constraints.txt'}"
    run_command(*pip, pins, *FOREIGN, *platforms, f"{core}[docker,ecs,otel]", str(restate))
    return folder
