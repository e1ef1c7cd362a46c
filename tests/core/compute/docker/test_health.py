import asyncio
import json
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from datetime import UTC, datetime, timedelta
from functools import partial
from typing import Any

import pytest

from landlord_engines_core.compute import ResourceState
from landlord_engines_core.compute.docker import labels as naming
from landlord_engines_core.compute.docker.health import check_health, is_up
from landlord_engines_core.compute.docker.settings import DockerSettings
from landlord_engines_core.settings import Duration

SETTINGS = DockerSettings(stable_window=Duration(10), health_timeout=Duration(30))


def container(
    status: str = "running", *, uptime: float = 100, restarts: int = 0, **state: object
) -> dict[str, Any]:
    started = datetime.now(UTC) - timedelta(seconds=uptime)
    stamp = started.isoformat().replace("+00:00", "123Z")
    return {
        "RestartCount": restarts,
        "State": {"Status": status, "StartedAt": stamp, "ExitCode": 0, **state},
        "Config": {"Labels": None},
        "HostConfig": {"NetworkMode": "bridge"},
        "NetworkSettings": {"Networks": {}, "Ports": None},
    }


def utc_text() -> str:
    """This moment in UTC, without the zone."""
    return datetime.now(UTC).replace(tzinfo=None).isoformat()


@pytest.mark.parametrize(
    ("raw", "state", "expected"),
    [
        (partial(container), "healthy", ""),
        (partial(container, uptime=1), "starting", "not run for long"),
        (partial(container, uptime=-100), "healthy", ""),
        (partial(container, uptime=-100, restarts=3), "healthy", ""),
        (partial(container, uptime=15, restarts=1), "starting", "not run for long"),
        (partial(container, uptime=25, restarts=1), "healthy", ""),
        (partial(container, uptime=70, restarts=1000), "healthy", ""),
        (partial(container, uptime=50, restarts=1000), "failed", "again and again (1000 times)"),
        # A start time without a zone is in UTC, and an invalid one counts as long ago.
        (partial(container, StartedAt="2020-01-01T00:00:00"), "healthy", ""),
        (lambda: container(StartedAt=utc_text()), "starting", "not run for long"),
        (partial(container, StartedAt="yesterday"), "healthy", ""),
        (partial(container, StartedAt=None), "healthy", ""),
        (partial(container, "restarting", restarts=2), "starting", "being restarted"),
        (partial(container, "restarting", restarts=3), "failed", "again and again (3 times)"),
        (partial(container, "exited"), "failed", "ended with 0"),
        (partial(container, "exited", ExitCode=3), "failed", "ended with 3"),
        (
            partial(container, "exited", ExitCode=137, OOMKilled=True),
            "failed",
            "for lack of memory",
        ),
        (partial(container, "created"), "failed", "it is created, not running"),
        (partial(container, "paused"), "failed", "it is paused"),
        (partial(container, "dead"), "failed", "it is dead"),
        (partial(container, uptime=1, Health={"Status": "healthy"}), "healthy", "says healthy"),
        (partial(container, Health={"Status": "starting"}), "starting", "says starting"),
        (partial(container, Health={"Status": "unhealthy"}), "failed", "says unhealthy"),
        (partial(container, Health={"Status": "none"}), "healthy", ""),
    ],
)
async def test_running_is_not_healthy(
    raw: Callable[[], dict[str, Any]], state: str, expected: str
) -> None:
    health = await check_health(raw(), SETTINGS)

    assert health.state is ResourceState(state)
    assert expected in health.detail


async def test_a_longer_window_of_the_container_overrides_the_longest_window() -> None:
    settings = DockerSettings(stable_window=Duration(200))

    assert (await check_health(container(uptime=100), settings)).state is ResourceState.STARTING
    assert (await check_health(container(uptime=201), settings)).state is ResourceState.HEALTHY


@pytest.mark.parametrize(
    ("raw", "up"),
    [
        (partial(container), True),
        (partial(container, uptime=1), True),
        (partial(container, Health={"Status": "unhealthy"}), True),
        (partial(container, "restarting", restarts=2), True),
        (partial(container, "restarting", restarts=3), False),
        (partial(container, uptime=1, restarts=3), False),
        (partial(container, "exited"), False),
        (partial(container, "paused"), False),
    ],
)
def test_a_running_container_outside_a_crash_loop_is_up(
    raw: Callable[[], dict[str, Any]], *, up: bool
) -> None:
    assert is_up(raw(), SETTINGS) is up


@asynccontextmanager
async def server(answer: bytes, *, closes: bool = True, misses: int = 0) -> AsyncIterator[int]:
    """Listen, ignore the first requests, and answer each later one with this response."""
    served: list[asyncio.Task[None] | None] = []

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        served.append(asyncio.current_task())
        try:
            if answer and len(served) > misses:
                await reader.readline()
                writer.write(answer)
                await writer.drain()
            if not closes:
                await reader.read()
        except ConnectionError:
            pass
        finally:
            writer.close()

    listening = await asyncio.start_server(serve, "127.0.0.1", 0)
    async with listening:
        yield listening.sockets[0].getsockname()[1]
    await asyncio.gather(*filter(None, served))


def container_with_check(kind: str, port: int, *, address: str, **more: float) -> dict[str, Any]:
    raw = container(**more)  # type: ignore[arg-type]
    check = {"type": kind, "port": port, "path": "/"}
    raw["Config"]["Labels"] = {naming.HEALTH: json.dumps(check)}
    if address == "own":
        raw["NetworkSettings"]["Networks"] = {
            "a": {"IPAddress": ""},
            "b": {"IPAddress": "127.0.0.1"},
        }
    if address == "published":
        raw["NetworkSettings"]["Ports"] = {f"{port}/tcp": [{"HostPort": str(port)}]}
    if address == "host":
        raw["HostConfig"]["NetworkMode"] = "host"
    return raw


@pytest.mark.parametrize("address", ["own", "published", "host"])
@pytest.mark.parametrize("line", [b"HTTP/1.1 200 OK\r\n", b"HTTP/1.0 302 Found\r\n"])
async def test_a_success_over_http_is_healthy_wherever_it_is_reached(
    address: str, line: bytes
) -> None:
    async with server(line) as port:
        health = await check_health(container_with_check("http", port, address=address), SETTINGS)

    assert health.state is ResourceState.HEALTHY


@pytest.mark.parametrize(
    "line", [b"HTTP/1.1 500 Oh\r\n", b"hello\r\n", b"\r\n", b"HTTP/1.1\r\n", b""]
)
async def test_any_other_http_answer_is_not_healthy(line: bytes) -> None:
    async with server(line) as port:
        young = await check_health(
            container_with_check("http", port, address="own", uptime=1), SETTINGS
        )
        old = await check_health(
            container_with_check("http", port, address="own", uptime=31), SETTINGS
        )

    assert young.state is ResourceState.STARTING
    assert old.state is ResourceState.FAILED
    assert "does not answer its health check" in old.detail


async def test_two_missed_requests_are_retried_before_the_container_has_failed() -> None:
    async with server(b"HTTP/1.1 200 OK\r\n", misses=2) as port:
        health = await check_health(container_with_check("http", port, address="own"), SETTINGS)

    assert health.state is ResourceState.HEALTHY


@pytest.mark.parametrize("address", ["own", "published"])
async def test_a_port_that_takes_connections_is_healthy_over_tcp(address: str) -> None:
    async with server(b"", closes=False) as port:
        health = await check_health(container_with_check("tcp", port, address=address), SETTINGS)

    assert health.state is ResourceState.HEALTHY


async def test_a_proxy_that_hangs_up_has_no_server_behind_it() -> None:
    async with server(b"") as port:
        health = await check_health(
            container_with_check("tcp", port, address="published"), SETTINGS
        )

    assert health.state is ResourceState.FAILED


async def test_an_unanswered_check_is_not_healthy_and_a_remote_daemon_is_checked_there() -> None:
    async with server(b"HTTP/1.1 200 OK\r\n") as port:
        raw = container_with_check("http", port, address="published")
        here = await check_health(raw, DockerSettings(host="tcp://127.0.0.1:2375"))
        nowhere = await check_health(raw, DockerSettings(host="tcp://127.0.0.2:2375"))

    assert here.state is ResourceState.HEALTHY
    assert nowhere.state is ResourceState.FAILED
