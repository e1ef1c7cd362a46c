"""The processes under measurement: started, watched from outside, and ended."""

import asyncio
import json
import os
import socket
import subprocess
import sys
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from types import MappingProxyType

import aiohttp
import attrs
import psutil

from benchmarks.bare import SERVICE as BARE
from benchmarks.minimal import SERVICE as MINIMAL

__all__ = [
    "HOST",
    "Location",
    "Worker",
    "bare_worker",
    "cpu_seconds",
    "find_server",
    "minimal_worker",
    "our_worker",
    "run_landlord_stub",
    "run_process",
    "wait_content",
]

HOST = Path(sys.executable).with_name("landlord-host")

SERVICE = "TenantProvisioning"

POLL_INTERVAL = 0.005
ANSWER_TIMEOUT = 60.0
"""Maximum seconds until a URL answers with the expected content."""


@attrs.frozen(kw_only=True)
class Location:
    """The addresses of both APIs and the ingress, and a folder for logs and settings."""

    folder: Path
    ingress: str
    admin: str
    landlord: str


@attrs.frozen(kw_only=True)
class Worker:
    """One of the compared workers, as a process of its own.

    Attributes:
        service: The service that Landlord would call.
        uri: The worker's address in Restate's admin API.
        process: The process.
        probes: The address of its metrics; empty if it has none.
    """

    service: str
    uri: str
    process: psutil.Process
    probes: str = ""

    def cpu(self) -> float:
        """Return the seconds of processor time of the worker and its children."""
        return cpu_seconds(self.process)

    def memory(self) -> float:
        """Return the MiB of memory of the worker and its children."""
        family = (self.process, *self.process.children(recursive=True))
        return sum(process.memory_info().rss for process in family) / 2**20


def cpu_seconds(process: psutil.Process) -> float:
    """Return the seconds of processor time of a process and its children."""
    family = (process, *process.children(recursive=True))
    return sum(sum(member.cpu_times()[:2]) for member in family)


def find_server() -> psutil.Process:
    """Return the only restate-server that this process has started."""
    (server,) = (
        process for process in psutil.Process().children() if process.name().startswith("restate")
    )
    return server


@contextmanager
def our_worker(
    location: Location,
    *,
    host: Path = HOST,
    service: str = SERVICE,
    settings: Mapping[str, str] = MappingProxyType({}),
    traced: bool = False,
) -> Iterator[Worker]:
    """Start a landlord-host with the Restate engine and these settings.

    With ``traced`` it exports traces to the stub of Landlord's API, which takes them and keeps nothing.
    """
    port = _free_port()
    restate = {
        "endpoint": location.ingress,
        "admin_endpoint": location.admin,
        "service_name": service,
        "worker_address": f"127.0.0.1:{port}",
        "worker_landlord_api_url": location.landlord,
    }
    config = location.folder / f"worker-{port}.json"
    # By default a resync follows a minute after each job; the bare service has no resync.
    worker = {"probe_address": f"127.0.0.1:{_free_port()}", "resync_after": "0s", **settings}
    sections = {"compute": {"mock": {}}, "workflow": {"restate": restate}, "worker": worker}
    config.write_text(json.dumps(sections))
    command = (str(host), "--engine=restate", f"--config={config}", "--log-format=json")
    traces = {"OTEL_EXPORTER_OTLP_ENDPOINT": location.landlord} if traced else {}
    with run_process(command, location.folder / f"worker-{port}.log", traces) as process:
        yield Worker(
            service=service,
            uri=f"http://127.0.0.1:{port}/",
            process=process,
            probes=f"http://{worker['probe_address']}",
        )


@contextmanager
def bare_worker(location: Location) -> Iterator[Worker]:
    """Start the bare service, which makes the same calls."""
    with _run_service(BARE, "benchmarks.bare", location, location.landlord) as worker:
        yield worker


@contextmanager
def minimal_worker(location: Location) -> Iterator[Worker]:
    """Start the smallest service by hand."""
    with _run_service(MINIMAL, "benchmarks.minimal", location) as worker:
        yield worker


@contextmanager
def _run_service(service: str, module: str, location: Location, *more: str) -> Iterator[Worker]:
    port = _free_port()
    command = (sys.executable, "-m", module, str(port), location.admin, *more)
    with run_process(command, location.folder / f"{service}-{port}.log") as process:
        yield Worker(service=service, uri=f"http://127.0.0.1:{port}/", process=process)


@contextmanager
def run_landlord_stub(folder: Path) -> Iterator[str]:
    """Start the stub of Landlord's API and give its URL."""
    port = _free_port()
    command = (sys.executable, "-m", "benchmarks.landlord_stub", str(port))
    with run_process(command, folder / "landlord.log"):
        yield f"http://127.0.0.1:{port}"


@contextmanager
def run_process(
    command: Sequence[str], log: Path, variables: Mapping[str, str] = MappingProxyType({})
) -> Iterator[psutil.Process]:
    """Run a command with its output in a file and these variables, and end it with the block."""
    with log.open("wb") as output:
        process = subprocess.Popen(  # noqa: S603  # our own command
            command,
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=output,
            env={**os.environ, **variables},  # noqa: TID251  # the command's own environment
        )
    try:
        yield psutil.Process(process.pid)
    finally:
        process.kill()
        process.wait()


async def wait_content(http: aiohttp.ClientSession, url: str, content: str = "") -> None:
    """Poll until a URL answers with this content.

    Raises:
        TimeoutError: The content did not appear in time.
    """
    async with asyncio.timeout(ANSWER_TIMEOUT):
        while not await _has_content(http, url, content):
            await asyncio.sleep(POLL_INTERVAL)


async def _has_content(http: aiohttp.ClientSession, url: str, content: str) -> bool:
    try:
        async with http.get(url) as response:
            return content in await response.text()
    except aiohttp.ClientError:
        return False


def _free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port: int = listener.getsockname()[1]
        return port
