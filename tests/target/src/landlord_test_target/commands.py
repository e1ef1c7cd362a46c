"""Small commands for tenants of the engine `process`, and a search for their processes."""

import sys
from collections.abc import Mapping
from contextlib import suppress
from uuid import uuid4

import psutil

from landlord_engines_core.compute import ComputeSpec
from landlord_engines_core.models import config_hash, key_hashes

PYTHON = (sys.executable, "-I", "-S", "-c")

ANSWERING_SERVER = """
import os, socket
listener = socket.create_server(("127.0.0.1", int(os.environ["PORT"])))
while True:
    connection, _ = listener.accept()
    try:
        if connection.recv(1000):
            connection.send(b"HTTP/1.1 " + os.environ["STATUS"].encode() + b" So\\r\\n\\r\\n")
    except OSError:
        pass
    connection.close()
"""
"""Program that answers each HTTP request with the status in the variable STATUS."""

SILENT_SERVER = """
import os, socket, time
listener = socket.create_server(("127.0.0.1", int(os.environ["PORT"])))
time.sleep(1000)
"""
"""Program that accepts connections and never answers."""


def create_mark() -> str:
    """Create a value of the variable TENANT_MARK, which identifies the processes of one tenant."""
    return uuid4().hex


def answering_server(tenants_mark: str, *, status: int = 200, **more: object) -> dict[str, object]:
    """Build the configuration of a tenant that answers its health check."""
    env = {"STATUS": str(status), "TENANT_MARK": tenants_mark}
    health = {"http": "/", "within": 20}
    return {"command": [*PYTHON, ANSWERING_SERVER], "env": env, "health": health, **more}


def find_processes(tenants_mark: str) -> list[psutil.Process]:
    """List the processes with this TENANT_MARK in their environment."""
    processes = []
    for pid in psutil.pids():
        with suppress(psutil.Error):
            process = psutil.Process(pid)
            if process.environ().get("TENANT_MARK") == tenants_mark:
                processes.append(process)
    return processes


def spec(config: Mapping[str, object], tenant: str = "t") -> ComputeSpec:
    """Build the spec that the lifecycle would send."""
    return ComputeSpec(
        tenant=tenant,
        name=tenant,
        location="",
        config=config,
        config_hash=config_hash(config),
        key_hashes=key_hashes(config),
    )
