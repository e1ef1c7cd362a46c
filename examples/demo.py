"""Carries one tenant through its life on a local restate-server: `nox -s demo`.

Starts a restate-server and `landlord-host --engine restate`, sends create, the same create again,
update and delete as Landlord sends them, and prints each transition from the tenant's history. It
exits with 0 only if each was as expected, and leaves nothing running.
"""

import asyncio
import json
import socket
import sys
import tempfile
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any
from uuid import uuid4

import aiohttp

from landlord_engines_core.engine import Dispatcher
from landlord_engines_restate import RestateSettings
from landlord_engines_restate.local.backends import local_backend

SENT = (
    ("provision", {"image": "nginx:1"}, "created"),
    ("provision", {"image": "nginx:1"}, "unchanged"),
    ("update", {"image": "nginx:2"}, "updated"),
    ("delete", {"image": "nginx:2"}, "deleted"),
)
"""Operation, configuration, and what is to come of it."""

WITHIN = 60
"""Seconds for each of the demo's waits."""

HOST = Path(sys.executable).with_name("landlord-host")


async def main() -> int:
    """Run the demo and return the exit code."""
    settings = RestateSettings()
    with tempfile.TemporaryDirectory(prefix="landlord-demo-") as folder:
        print("starting restate-server ...")
        async with local_backend(settings, Path(folder)) as backend:
            print(f"starting landlord-host, with Restate at {backend.settings['endpoint']} ...")
            async with worker(Path(folder), backend.settings):
                tenant = str(uuid4())
                for operation, config, _ in SENT:
                    await carry_out(backend.dispatcher, body(tenant, operation, config))
                url = f"{backend.settings['endpoint']}/{settings.names.lock}/{tenant}/history"
                return report(await finished_history(url))


@asynccontextmanager
async def worker(folder: Path, backend: Mapping[str, str]) -> AsyncIterator[None]:
    """Run `landlord-host` until it is registered, and drain it in the end."""
    config = folder / "config.json"
    config.write_text(json.dumps({"compute": {"mock": {}}, "workflow": {"restate": backend}}))
    process = await asyncio.create_subprocess_exec(
        *(HOST, "--engine=restate", f"--config={config}", "--fail-fast", "--log-format=json"),
        f"--set=workflow.restate.worker_address=127.0.0.1:{free_port()}",
        f"--set=worker.probe_address=127.0.0.1:{free_port()}",
        stderr=asyncio.subprocess.PIPE,
    )
    assert process.stderr is not None
    try:
        async with asyncio.timeout(WITHIN):
            while line := await process.stderr.readline():
                print(f"  {line.decode().rstrip()}")
                if b'"state": "registered"' in line:
                    break
            else:
                sys.exit(f"landlord-host ended with {await process.wait()}")
        yield
    finally:
        if process.returncode is None:
            process.terminate()
        await process.communicate()


async def carry_out(dispatcher: Dispatcher, job: bytes) -> None:
    """Send a job and poll it, as Landlord does, until it has ended."""
    execution_id = await dispatcher.dispatch(job)
    async with asyncio.timeout(WITHIN):
        while (await dispatcher.poll(execution_id))["state"] != "succeeded":
            await asyncio.sleep(0.1)


def body(tenant: str, operation: str, config: Mapping[str, str]) -> bytes:
    """The body that Landlord would send."""
    return json.dumps(
        {
            "tenant_id": "acme",
            "tenant_uuid": tenant,
            "operation": operation,
            "desired_config": {**config, "compute_provider": "mock"},
            "compute_provider": "mock",
        }
    ).encode()


async def finished_history(url: str) -> list[dict[str, Any]]:
    """Read the history once every end is in it: an end is sent, and written a moment later."""
    async with asyncio.timeout(WITHIN), aiohttp.ClientSession() as session:
        while True:
            async with session.get(url) as response:
                history: list[dict[str, Any]] = json.loads(await response.read())
            if sum(1 for transition in history if transition["ended_at"]) == len(SENT):
                return history
            await asyncio.sleep(0.1)


def free_port() -> int:
    """A port that was free a moment ago."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port: int = listener.getsockname()[1]
        return port


def report(history: list[dict[str, Any]]) -> int:
    """Print the tenant's history and compare it with what was to come."""
    for transition in history:
        changes = ", ".join(transition["changes"])
        print(f"{transition['operation']:<10} -> {transition['outcome']:<10} {changes}".rstrip())
    outcomes = [transition["outcome"] for transition in history]
    expected = [outcome for _, _, outcome in SENT]
    if outcomes != expected:
        print(f"expected {', '.join(expected)}")
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(asyncio.run(main()))
