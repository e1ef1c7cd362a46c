"""Errors of sockets; all but the last test use a real socket."""

import os
import socket
import subprocess
import sys
from pathlib import Path

import pytest
from pytest_httpserver import HTTPServer

from landlord_engines_core.compute.docker.errors import connection_error
from landlord_engines_core.errors import ComputeUnavailable
from landlord_test_target.compute_engines import docker_engine


async def reach_error(host: str) -> str:
    engine = docker_engine({"host": host})
    try:
        return await engine.reach()
    except ComputeUnavailable as error:
        return str(error)
    finally:
        await engine.aclose()


async def test_a_daemon_is_reported_with_its_version(httpserver: HTTPServer) -> None:
    version = {"ApiVersion": "1.47", "Version": "27.0"}
    httpserver.expect_request("/version").respond_with_json(version)
    httpserver.expect_request("/v1.47/version").respond_with_json(version)
    host = httpserver.url_for("").rstrip("/")

    assert await reach_error(host) == f"Docker 27.0 at {host}"


async def test_a_socket_that_is_missing_is_reported_with_its_path(tmp_path: Path) -> None:
    message = await reach_error(f"unix://{tmp_path}/none.sock")

    assert f"there is no Docker socket at {tmp_path}/none.sock" in message


async def test_a_socket_at_which_nobody_listens_is_reported(tmp_path: Path) -> None:
    with socket.socket(socket.AF_UNIX) as left:
        left.bind(str(tmp_path / "s"))

    assert "no Docker daemon listens on the socket" in await reach_error(f"unix://{tmp_path}/s")


async def test_another_host_that_refuses_is_reported_with_the_setting() -> None:
    assert "check compute.docker.host and DOCKER_HOST" in await reach_error("tcp://127.0.0.1:9")


DENIED = """
import asyncio, os, sys
from landlord_test_target.compute_engines import docker_engine
os.setgroups([]); os.setgid(54321); os.setuid(54321)
async def main():
    engine = docker_engine({"host": f"unix://{sys.argv[1]}"})
    try:
        await engine.reach()
    except Exception as error:
        print(error)
    finally:
        await engine.aclose()
asyncio.run(main())
"""


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can become somebody else")
def test_a_denied_permission_is_reported_with_group_add(shared_path: Path) -> None:
    path = shared_path / "docker.sock"
    with socket.socket(socket.AF_UNIX) as daemon:
        daemon.bind(str(path))
        daemon.listen()
        path.chmod(0o660)

        done = subprocess.run(
            [sys.executable, "-c", DENIED, path], capture_output=True, text=True, check=True
        )

    assert f"permission denied on the Docker socket {path}" in done.stdout
    assert "group_add" in done.stdout
    assert "uid 10001" in done.stdout


def test_a_denied_permission_is_reported_for_every_user() -> None:
    error = connection_error(PermissionError(13, "denied"), "unix:///run/docker.sock")

    assert "permission denied on the Docker socket /run/docker.sock" in error.message
    assert "group_add" in error.hint


def test_another_failure_of_a_socket_is_reported_with_the_setting() -> None:
    error = connection_error(ValueError("odd"), "unix:///run/docker.sock")

    assert "check compute.docker.host" in error.hint
