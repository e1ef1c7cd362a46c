"""A worker or a runner is killed with SIGKILL at each failpoint, and one process is left afterwards."""

import json
import signal
from collections.abc import Mapping
from functools import partial
from pathlib import Path
from tempfile import NamedTemporaryFile
from typing import Any

import pytest

from landlord_engines_core.compute import ResourceState
from landlord_engines_core.compute.process import ProcessCompute
from landlord_engines_core.errors import Held
from landlord_test_target.commands import answering_server, create_mark, find_processes
from landlord_test_target.crashing import run_all_jobs
from landlord_test_target.forks import fork_call
from landlord_test_target.in_memory import InMemorySteps, build_tenant_jobs

pytestmark = pytest.mark.unmeasured

CREATE = ["claimed", "ended", "written", "spawned", "begun"]
UPDATE = ["noted", *CREATE, "stable"]
RUNNER = ["begun", "noted", "spawned", "running"]
DESTROY = ["begun", "ended", "released", "removed"]

RUNNERS = [
    pytest.param(point, victim, id=f"{point}-{victim}")
    for point in RUNNER
    for victim in ("worker", "runner")
]


def body(operation: str, config: Mapping[str, object]) -> dict[str, Any]:
    return {"tenant_uuid": "a/../b\n", "operation": operation, "desired_config": config}


async def worker(settings: Mapping[str, object], *bodies: Mapping[str, object]) -> tuple[int, str]:
    """Run jobs in a separate worker, and return its exit code and all its output."""
    with NamedTemporaryFile() as output:
        log = Path(output.name)
        code = await fork_call(partial(run_all_jobs, settings, bodies), log).wait()
        return code, log.read_text()


async def run_again(engine: ProcessCompute, operation: str, config: Mapping[str, object]) -> str:
    """Run a job in this process, as a restarted worker does."""
    tenants = build_tenant_jobs(("process", engine), health_timeout=20.0, step_timeout=60.0)
    answer = await tenants.run(json.dumps(body(operation, config)).encode(), InMemorySteps())
    return answer.output.status


async def check_one_process(engine: ProcessCompute, tenants_mark: str, status: int) -> None:
    """Check that the tenant has exactly one process, with the right configuration."""
    (process,) = find_processes(tenants_mark)
    observed = await engine.inspect("a/../b\n", "")
    assert process.environ()["STATUS"] == str(status)
    assert observed.state is ResourceState.HEALTHY
    assert observed.resource_ids["pid"] == str(process.pid)


def settings_of(engine: ProcessCompute, point: str, victim: str = "worker") -> dict[str, str]:
    return {"folder": engine.settings.folder, "crash_at": point, "victim": victim}


@pytest.mark.parametrize("point", [f"create:{point}" for point in CREATE])
async def test_a_worker_killed_inside_a_create_leaves_one_process(
    engine: ProcessCompute, point: str
) -> None:
    tenant = create_mark()
    config = answering_server(tenant)

    code, _ = await worker(settings_of(engine, point), body("provision", config))
    await run_again(engine, "provision", config)

    assert code == -signal.SIGKILL
    await check_one_process(engine, tenant, 200)


@pytest.mark.parametrize(("point", "victim"), RUNNERS)
async def test_a_create_whose_runner_or_worker_is_killed_meanwhile_leaves_one_process(
    engine: ProcessCompute, point: str, victim: str
) -> None:
    tenant = create_mark()
    config = answering_server(tenant)
    settings = settings_of(engine, f"runner:{point}", victim)

    code, _ = await worker(settings, body("provision", config))
    await run_again(engine, "provision", config)

    assert code
    await check_one_process(engine, tenant, 200)


@pytest.mark.parametrize("point", [f"update:{point}" for point in UPDATE])
async def test_a_worker_killed_inside_an_update_leaves_one_process_with_the_new_configuration(
    engine: ProcessCompute, point: str
) -> None:
    tenant = create_mark()
    await run_again(engine, "provision", answering_server(tenant))
    config = answering_server(tenant, status=204)

    code, _ = await worker(settings_of(engine, point), body("update", config))
    outcome = await run_again(engine, "update", config)

    assert code == -signal.SIGKILL
    assert outcome == ("unchanged" if point == "update:stable" else "updated")
    await check_one_process(engine, tenant, 204)


@pytest.mark.parametrize(("point", "victim"), RUNNERS)
async def test_an_update_whose_runner_or_worker_is_killed_meanwhile_leaves_one_process(
    engine: ProcessCompute, point: str, victim: str
) -> None:
    tenant = create_mark()
    await run_again(engine, "provision", answering_server(tenant))
    config = answering_server(tenant, status=204)

    await worker(settings_of(engine, f"runner:{point}", victim), body("update", config))
    await run_again(engine, "update", config)

    await check_one_process(engine, tenant, 204)


@pytest.mark.parametrize(
    "point",
    [
        "update:written",
        "update:spawned",
        "update:begun",
        *(f"rollback:{point_name}" for point_name in ("noted", *CREATE)),
    ],
)
async def test_a_worker_killed_inside_an_update_that_is_rolled_back_leaves_the_former_process(
    engine: ProcessCompute, point: str
) -> None:
    tenant = create_mark()
    await run_again(engine, "provision", answering_server(tenant))
    config = {**answering_server(tenant), "command": ["/bin/false"]}

    code, _ = await worker(settings_of(engine, point), body("update", config))
    with pytest.raises(Held, match="the command ended with exit code 1"):
        await run_again(engine, "update", config)

    assert code == -signal.SIGKILL
    await check_one_process(engine, tenant, 200)


@pytest.mark.parametrize("point", [f"destroy:{point}" for point in DESTROY])
async def test_a_worker_killed_inside_a_delete_leaves_nothing(
    engine: ProcessCompute, folder: Path, point: str
) -> None:
    tenant = create_mark()
    await run_again(engine, "provision", answering_server(tenant))

    code, _ = await worker(settings_of(engine, point), body("delete", {}))
    await run_again(engine, "delete", {})

    assert code == -signal.SIGKILL
    assert find_processes(tenant) == []
    assert [path.name for path in folder.rglob("*")] == ["ports"]
