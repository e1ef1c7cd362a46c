"""A tenant that a dead worker left out of service serves again, by its folder alone."""

import os
import signal

import pytest

from landlord_engines_core.compute import ResourceState
from landlord_engines_core.compute.process import ProcessCompute
from landlord_test_target.commands import (
    PYTHON,
    answering_server,
    create_mark,
    find_processes,
    spec,
)
from landlord_test_target.harness import wait_for
from landlord_test_target.process_operations import (
    crash_update_at,
    provision_first,
    unhealthy_spec,
    wait_serves,
)


@pytest.mark.parametrize("point", ["ended", "written"])
async def test_the_previous_command_serves_again_after_an_update_interrupted_before_its_start(
    engine: ProcessCompute, point: str
) -> None:
    tenants_mark = create_mark()
    first = await provision_first(engine, tenants_mark)
    await crash_update_at(
        engine, f"update:{point}", spec(answering_server(tenants_mark, status=204))
    )
    assert find_processes(tenants_mark) == []

    assert await engine.restore("t", "")

    await wait_serves(engine, tenants_mark, first)


@pytest.mark.parametrize("point", ["spawned", "begun"])
async def test_an_interrupted_update_whose_next_command_serves_is_completed(
    engine: ProcessCompute, point: str
) -> None:
    tenants_mark = create_mark()
    await provision_first(engine, tenants_mark)
    next_spec = spec(answering_server(tenants_mark, status=204))
    await crash_update_at(engine, f"update:{point}", next_spec)

    assert await engine.restore("t", "")

    await wait_serves(engine, tenants_mark, next_spec)
    assert not await engine.restore("t", "")


@pytest.mark.parametrize("point", ["update:begun", "rollback:noted", "rollback:written"])
async def test_an_interrupted_update_whose_next_command_does_not_serve_is_rolled_back(
    engine: ProcessCompute, point: str
) -> None:
    tenants_mark = create_mark()
    first = await provision_first(engine, tenants_mark)
    await crash_update_at(engine, point, unhealthy_spec(tenants_mark, within=0.2))

    assert await engine.restore("t", "")

    await wait_serves(engine, tenants_mark, first)


async def test_restore_changes_nothing_for_a_serving_a_missing_and_a_never_healthy_command(
    engine: ProcessCompute,
) -> None:
    tenants_mark = create_mark()
    assert not await engine.restore("t", "")
    first = await provision_first(engine, tenants_mark)
    await engine.provision(first)
    (process,) = find_processes(tenants_mark)
    assert not await engine.restore("t", "")
    assert find_processes(tenants_mark) == [process]

    await engine.provision(spec({"command": [*PYTHON, "0"]}, "brief"))

    async def ended() -> bool:
        return (await engine.inspect("brief", "")).state is ResourceState.FAILED

    await wait_for(ended)
    assert not await engine.restore("brief", "")


async def test_a_command_that_served_and_was_killed_from_outside_runs_again(
    engine: ProcessCompute,
) -> None:
    tenants_mark = create_mark()
    first = await provision_first(engine, tenants_mark)
    # An apply that finds it healthy notes that.
    await engine.provision(first)
    (process,) = find_processes(tenants_mark)
    os.kill(process.pid, signal.SIGKILL)

    async def ended() -> bool:
        return (await engine.inspect("t", "")).state is ResourceState.FAILED

    await wait_for(ended)
    assert await engine.restore("t", "")

    await wait_serves(engine, tenants_mark, first)
