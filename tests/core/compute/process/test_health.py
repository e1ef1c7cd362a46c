import asyncio
import time

import pytest
from pytest_httpserver import HTTPServer
from werkzeug import Response

from landlord_engines_core.compute import ResourceState
from landlord_engines_core.compute.process import health
from landlord_engines_core.compute.process.config import Health, TenantConfig
from landlord_engines_core.compute.process.folder import Run, RunnerStatus
from landlord_engines_core.compute.process.runner import boot_clock
from landlord_test_target.harness import free_port


async def judged(check: Health | None, port: int = 1, age: float = 0.0) -> ResourceState:
    config = TenantConfig(command=("x",), health=check)
    run = Run(run="1", port=port, config=config, config_hash="", key_hashes={}, output_limit=1)
    note = RunnerStatus(run="1", pid=1, started=time.time() - age, stop_timeout=0)
    state, _ = await health.check_health(run, note)
    return state


@pytest.mark.parametrize(
    ("status", "age", "state"),
    [
        (200, 0.0, ResourceState.HEALTHY),
        (302, 99.0, ResourceState.HEALTHY),
        (404, 0.0, ResourceState.STARTING),
        (503, 99.0, ResourceState.FAILED),
    ],
)
async def test_an_answer_is_judged_by_its_status(
    httpserver: HTTPServer, status: int, age: float, state: ResourceState
) -> None:
    httpserver.expect_request("/well", query_string="a=b").respond_with_response(
        Response("", status)
    )

    assert await judged(Health(http="/well?a=b"), httpserver.port, age) is state


@pytest.mark.parametrize(
    ("age", "state"), [(0.0, ResourceState.STARTING), (99.0, ResourceState.FAILED)]
)
async def test_a_command_that_is_not_healthy_in_time_has_failed(
    age: float, state: ResourceState
) -> None:
    assert await judged(Health(within=30), free_port(), age) is state


async def test_without_a_path_an_accepted_connection_is_healthy(httpserver: HTTPServer) -> None:
    assert await judged(Health(), httpserver.port) is ResourceState.HEALTHY


async def test_an_answer_that_is_not_http_is_unhealthy() -> None:
    async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(b"x" * 100_000)
        writer.close()

    server = await asyncio.start_server(answer, "127.0.0.1", 0)
    port = server.sockets[0].getsockname()[1]

    assert await judged(Health(http="/"), port) is ResourceState.STARTING

    server.close()
    await server.wait_closed()


async def test_a_tenant_without_a_runner_yet_is_starting() -> None:
    config = TenantConfig(command=("x",))
    run = Run(run="1", port=1, config=config, config_hash="", key_hashes={}, output_limit=1)

    assert await health.check_health(run, None) == (ResourceState.STARTING, "")


@pytest.mark.parametrize(
    ("age", "state"),
    [
        (0.0, ResourceState.STARTING),
        (-999.0, ResourceState.HEALTHY),
        (health.STABLE_AFTER, ResourceState.HEALTHY),
    ],
)
async def test_without_a_check_a_running_command_is_healthy_whatever_the_clock_shows(
    age: float, state: ResourceState
) -> None:
    assert await judged(None, age=age) is state


@pytest.mark.parametrize("step", [-86_400.0, 86_400.0])
async def test_setting_the_clock_does_not_change_the_age_of_a_command(
    monkeypatch: pytest.MonkeyPatch, step: float
) -> None:
    config = TenantConfig(command=("x",), health=None)
    run = Run(run="1", port=1, config=config, config_hash="", key_hashes={}, output_limit=1)
    note = RunnerStatus(run="1", pid=1, started=time.time(), uptime=boot_clock(), stop_timeout=0)
    stepped = time.time() + step
    monkeypatch.setattr(time, "time", lambda: stepped)

    state, _ = await health.check_health(run, note)

    assert state is ResourceState.STARTING
