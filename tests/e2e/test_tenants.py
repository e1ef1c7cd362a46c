"""The commands about tenants, on a real restate-server with tenants in each state."""

import asyncio
import json
import logging
import os
import subprocess
from collections import Counter
from pathlib import Path
from time import monotonic
from typing import Any

import attrs
import jsonschema
import pytest
from pytest_httpserver import HTTPServer

from landlord_test_target.canaries import Canaries
from landlord_test_target.harness import Harness, Worker, wait_for
from landlord_test_target.tenant_api import Landlord
from landlord_test_target.worker import HOST

SCHEMA = Path(__file__).parents[2] / "docs" / "operating" / "tenants.schema.json"


_logger = logging.getLogger(__name__)

LAST = "zz-last"
"""Key of the tenant of which the long test makes copies."""


def check_schema(command: str, document: object) -> None:
    schema = json.loads(SCHEMA.read_text())
    jsonschema.validate(document, {**schema, "anyOf": [{"$ref": f"#/$defs/{command}"}]})


@attrs.frozen
class Scene:
    """The settings of a worker for the commands."""

    worker: Worker

    async def read(self, *command: str) -> tuple[int, Any]:
        """Run a command with --json, and return its exit code and its document."""
        code, text = await self.worker.command(*command, "--json")
        document = json.loads(text)
        check_schema(command[0], document)
        return code, document


async def hold(harness: Harness) -> str:
    """Have a tenant's update held by its target, and return the tenant."""
    tenant = harness.tenant()
    await harness.run(tenant, "provision", version=1)
    await harness.target.set_fault(tenant, "update", refuse=-1)
    job = await harness.send(tenant, "update", version=2)
    await harness.wait_status(job, "backing-off")
    return tenant


async def hold_without_lock(harness: Harness) -> str:
    """Have a tenant's first job held because it names an unknown engine, and return the tenant."""
    tenant = harness.tenant()
    job = await harness.send(tenant, "provision", "nomad", version=1)
    await harness.wait_status(job, "backing-off")
    return tenant


async def fail(harness: Harness) -> str:
    """Have a tenant's job retried because its target fails, and return the tenant."""
    tenant = harness.tenant()
    await harness.target.set_fault(tenant, "create", fail=-1)
    job = await harness.send(tenant, "provision", version=1)
    await harness.wait_status(job, "backing-off")
    return tenant


async def start(harness: Harness) -> tuple[str, str]:
    """Have a tenant's job wait for its target, and return the tenant and the job."""
    tenant = harness.tenant()
    await harness.target.set_fault(tenant, "create", hold=1)
    job = await harness.send(tenant, "provision", version=1)
    await harness.target.wait_called(tenant, "create")
    return tenant, job


async def test_each_tenant_is_listed_with_its_state_and_its_reason(harness: Harness) -> None:
    scene = Scene(await harness.worker(hold_retry_interval="10m", resync_after="1h"))
    idle, deleted = harness.tenant(), harness.tenant()
    for tenant in (idle, deleted):
        await harness.run(tenant, "provision", version=1)
    await harness.run(deleted, "delete")
    held, unplaced, retrying = (
        await hold(harness),
        await hold_without_lock(harness),
        await fail(harness),
    )
    (running, _), (killed, job) = await start(harness), await start(harness)
    await harness.dispatcher.kill(job)

    code, document = await scene.read("tenants")

    for tenant in (running, killed):
        await harness.target.set_fault(tenant, "create")
    listed = {tenant["tenant"]: tenant for tenant in document["tenants"]}
    assert list(listed) == sorted(listed)
    assert {key: (each["state"], each["outcome"]) for key, each in listed.items()} == {
        idle: ("idle", "created"),
        deleted: ("idle", "deleted"),
        held: ("held", "created"),
        unplaced: ("held", ""),
        retrying: ("retrying", ""),
        running: ("running", ""),
        killed: ("idle", "killed"),
    }
    assert listed[held]["reason"] == "LE402: the target refuses this"
    assert listed[unplaced]["reason"].startswith("LE402: compute engine 'nomad' is not configured")
    assert listed[retrying]["reason"] == "LE403: the target is in trouble"
    assert listed[idle]["name"] == f"name-{idle}"
    assert [each["engine"] for each in listed[idle]["placements"]] == ["target"]
    assert {key for key, each in listed.items() if each["as_desired"]} == {idle, deleted}
    assert code == 3
    code, text = await scene.worker.command("tenants", "--held", "--engine", "target")
    assert code == 3
    header, row, summary = text.splitlines()
    assert header.startswith("TENANT ")
    assert row.startswith(held)
    assert row.endswith("LE402: the target refuses this")
    assert summary == "1 tenants, 1 not as desired: 1 held"


async def test_a_held_job_that_is_retried_goes_on_at_once(harness: Harness) -> None:
    scene = Scene(await harness.worker(hold_retry_interval="10m", resync_after="1h"))
    tenant = await hold(harness)
    code, text = await scene.worker.command("status", tenant)
    assert code == 3
    assert text.startswith("held since ")
    await harness.target.set_fault(tenant, "update")

    code, text = await scene.worker.command("retry", tenant)

    assert code == 0
    assert text.startswith("tried now: held since ")
    assert await harness.wait_outcomes(tenant, 2) == ["created", "updated"]
    code, status = await scene.read("status", tenant)
    assert (code, status["state"], status["as_desired"]) == (0, "idle", True)
    code, history = await scene.read("history", tenant)
    assert (code, [each["outcome"] for each in history["transitions"]]) == (
        0,
        ["created", "updated"],
    )


@pytest.mark.long
async def test_a_job_that_no_worker_has_begun_is_shown_with_its_tenant(harness: Harness) -> None:
    worker = await harness.worker()
    await worker.terminate()
    tenant = harness.tenant()
    job = await harness.send(tenant, "provision", version=1)
    await harness.wait_status(job, "backing-off")

    code, document = await Scene(worker).read("tenants")

    (shown,) = document["tenants"]
    assert (code, shown["tenant"], shown["jobs"][0]["code"]) == (3, tenant, "RT0010")


async def test_a_plan_names_what_an_apply_would_change_and_no_value(
    harness: Harness, httpserver: HTTPServer
) -> None:
    landlord = Landlord(httpserver)
    scene = Scene(await harness.worker(api=landlord.url, resync_after="1h"))
    tenant = harness.tenant()
    landlord.set_tenant(tenant, "ready", version=1)
    code, plan = await scene.read("plan", tenant)
    assert (code, plan["action"]) == (3, "provision")
    await harness.run(tenant, "provision", version=1)
    code, plan = await scene.read("plan", tenant)
    assert (code, plan["action"]) == (0, "nothing")

    landlord.set_tenant(tenant, "ready", version=1, env={"PASSWORD": "a secret"})
    code, text = await scene.worker.command("plan", tenant)

    assert code == 3
    assert text.startswith("update on target main")
    assert text.endswith(": env changed\n")


@attrs.frozen
class Run:
    """One run of a command in a process of its own, without a fork server."""

    output: str
    code: int
    seconds: float
    cpu_seconds: float
    peak_kib: int


def run_alone(worker: Worker, *arguments: str) -> Run:
    command = (str(HOST), "--engine=restate", f"--config={worker.write_config()}", *arguments)
    began = monotonic()
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        output = process.stdout.read()
        _, status, usage = os.wait4(process.pid, 0)
        process.returncode = os.waitstatus_to_exitcode(status)
    cpu = usage.ru_utime + usage.ru_stime
    return Run(output, process.returncode, monotonic() - began, cpu, usage.ru_maxrss)


async def add_tenants(harness: Harness, count: int) -> None:
    """Add copies of a tenant to Restate's state, which no job has touched."""
    sql = f"SELECT key, value_utf8 FROM state WHERE service_name = '{harness.service}Tenant'"
    rows = await harness.admin.query(f"{sql} AND service_key = '{LAST}'")
    state = {str(row["key"]): list(str(row["value_utf8"]).encode()) for row in rows}
    assert set(state) == {"lock", "past"}
    url = f"{harness.restate.admin_endpoint}/services/{harness.service}Tenant/state"
    limit = asyncio.Semaphore(16)

    async def add(number: int) -> None:
        document = {"object_key": f"copy-{number:05}", "new_state": state}
        async with limit, harness.http.post(url, json=document) as response:
            assert response.status == 202

    await asyncio.gather(*map(add, range(count)))

    async def look() -> bool:
        (row,) = await harness.admin.query(
            "SELECT count(*) AS n FROM state WHERE key = 'lock' AND service_key LIKE 'copy-%'"
        )
        return bool(row["n"] == count)

    await wait_for(look)


@pytest.mark.long
async def test_ten_thousand_tenants_are_listed_with_a_second_of_processor_time(
    dedicated_harness: Harness,
) -> None:
    harness, canaries = dedicated_harness, Canaries()
    worker = await harness.worker(hold_retry_interval="10m", resync_after="1h")
    secret: dict[str, Any] = {"env": {"PASSWORD": canaries.secret("env")}}
    idle = [LAST, *(harness.tenant() for _ in range(191))]
    limit = asyncio.Semaphore(16)

    async def create(tenant: str) -> None:
        async with limit:
            await harness.run(tenant, "provision", version=1, **secret)

    await asyncio.gather(*map(create, idle))
    await create(LAST)
    held = [await hold(harness), await hold_without_lock(harness)]
    for config in (
        {"version": canaries.secret("type")},
        {"version": 13},
        {"version": 1, "unknown": canaries.secret("x" * 300_000)},
    ):
        held.append(harness.tenant())
        job = await harness.send(held[-1], "provision", "target", **config, **secret)
        await harness.wait_held(job, "LE402")
    retrying = [await fail(harness), await fail(harness), harness.tenant()]
    await harness.target.set_fault(retrying[-1], "inspect", fail=-1)
    await harness.send(retrying[-1], "provision", version=1, **secret)

    async def look() -> bool:
        _, listed = await Scene(worker).read("tenants")
        states = Counter(each["state"] for each in listed["tenants"])
        return states == {"idle": 192, "held": 5, "retrying": 3}

    await wait_for(look)
    _, listed = await Scene(worker).read("tenants")
    reasons = {each["reason"] for each in listed["tenants"] if each["state"] == "held"}
    assert len(reasons) == 5
    few = run_alone(worker, "tenants")
    await add_tenants(harness, 9_800)

    many, document = run_alone(worker, "tenants"), run_alone(worker, "tenants", "--json")

    for run in (few, many, document):
        _logger.info("%s", attrs.evolve(run, output=run.output[-100:]))
    assert [run.code for run in (few, many, document)] == [3, 3, 3]
    assert many.output.endswith("10000 tenants, 8 not as desired: 5 held, 9992 idle, 3 retrying\n")
    check_schema("tenants", json.loads(document.output))
    # The rest is the start of the command, which a busy machine makes longer.
    assert max(many.cpu_seconds, document.cpu_seconds) < few.cpu_seconds + 1.5
    assert max(many.peak_kib, document.peak_kib) < 1.1 * few.peak_kib
    outputs = [few.output, many.output, document.output]
    for tenant in (*held, *retrying, LAST):
        commands = ("status", "history", "retry")
        outputs += [(await worker.command("--debug", each, tenant))[1] for each in commands]
    assert not any(map(canaries.is_in, outputs))
