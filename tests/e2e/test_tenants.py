"""The commands about tenants, on a real restate-server with tenants in each state."""

import json
from pathlib import Path
from typing import Any

import attrs
import jsonschema
import pytest

from landlord_test_target.harness import Worker, Harness, wait_for

SCHEMA = Path(__file__).parents[2] / "docs" / "operating" / "tenants.schema.json"


@attrs.frozen
class Scene:
    """A worker with a tenant in each state, by the state's name."""

    worker: Worker
    tenants: dict[str, str]

    async def read(self, *command: str) -> tuple[int, Any]:
        """Run a command with --json, and return its exit code and its document."""
        code, text = await self.worker.command(*command, "--json")
        document = json.loads(text)
        schema = json.loads(SCHEMA.read_text())
        jsonschema.validate(document, {**schema, "$ref": f"#/$defs/{command[0]}"})
        return code, document

    async def wait_state(self, tenant: str, state: str) -> dict[str, Any]:
        async def look() -> dict[str, Any]:
            _, status = await self.read("status", tenant)
            return status if status["state"] == state else {}

        return await wait_for(look)


async def build_scene(harness: Harness, **options: Any) -> Scene:
    """Start a worker and bring tenants into each state."""
    worker = await harness.worker(hold_retry_interval="10m", resync_after="1h", **options)
    names = ("idle", "held", "unplaced", "retrying", "running", "killed", "deleted")
    tenants = {name: f"{name}-{harness.tenant()}" for name in names}
    for name in ("idle", "held", "deleted"):
        await harness.run(tenants[name], "provision", version=1)
    await harness.run(tenants["deleted"], "delete")
    await harness.target.set_fault(tenants["held"], "update", refuse=-1)
    held = await harness.send(tenants["held"], "update", version=2)
    unplaced = await harness.send(tenants["unplaced"], "provision", "nomad", version=1)
    await harness.target.set_fault(tenants["retrying"], "create", fail=-1)
    retrying = await harness.send(tenants["retrying"], "provision", version=1)
    for name in ("running", "killed"):
        await harness.target.set_fault(tenants[name], "create", hold=1)
        job = await harness.send(tenants[name], "provision", version=1)
        await harness.target.wait_called(tenants[name], "create")
    await harness.dispatcher.kill(job)
    for job in (held, unplaced, retrying):
        await harness.wait_status(job, "backing-off")
    await harness.target.set_fault(tenants["killed"], "create")
    return Scene(worker=worker, tenants=tenants)


async def test_each_tenant_is_listed_with_its_state_and_its_reason(own_harness: Harness) -> None:
    scene = await build_scene(own_harness)
    tenants = scene.tenants

    code, document = await scene.read("tenants")

    listed = {tenant["tenant"]: tenant for tenant in document["tenants"]}
    assert list(listed) == sorted(tenants.values())
    states = {name: listed[tenant]["state"] for name, tenant in tenants.items()}
    assert states == {
        **{"idle": "idle", "held": "held", "unplaced": "held", "retrying": "retrying"},
        **{"running": "running", "killed": "idle", "deleted": "idle"},
    }
    outcomes = {name: listed[tenant]["outcome"] for name, tenant in tenants.items()}
    assert outcomes == {
        **{"idle": "created", "held": "created", "unplaced": "", "retrying": ""},
        **{"running": "", "killed": "killed", "deleted": "deleted"},
    }
    assert listed[tenants["held"]]["reason"] == "LE402: the target refuses this"
    assert "'nomad' is not configured" in listed[tenants["unplaced"]]["reason"]
    assert listed[tenants["retrying"]]["reason"] == "LE403: the target is in trouble"
    assert listed[tenants["idle"]]["name"] == f"name-{tenants['idle']}"
    assert listed[tenants["idle"]]["placements"][0]["engine"] == "target"
    desired = {name for name, tenant in tenants.items() if listed[tenant]["as_desired"]}
    assert desired == {"idle", "deleted"}
    assert code == 3

    code, document = await scene.read("tenants", "--held", "--engine", "target")
    assert (code, [each["tenant"] for each in document["tenants"]]) == (3, [tenants["held"]])
    code, text = await scene.worker.command("tenants", "--held")
    assert code == 3
    header, *rows, summary = text.splitlines()
    assert header.startswith("TENANT ")
    assert [row.split()[0] for row in rows] == [tenants["held"], tenants["unplaced"]]
    assert summary == "2 tenants, 2 not as desired: 2 held"


async def test_a_held_job_that_is_retried_goes_on_at_once(harness: Harness) -> None:
    scene = await build_scene(harness)
    for name, call in (("held", "update"), ("retrying", "create")):
        tenant = scene.tenants[name]
        code, text = await scene.worker.command("status", tenant)
        assert code == 3
        assert text.startswith(f"{name} since ")
        await harness.target.set_fault(tenant, call)

        code, text = await scene.worker.command("retry", tenant)

        assert code == 0
        assert text.startswith(f"tried now: {name} since ")
        (*_, last) = await harness.wait_outcomes(tenant, 2 if name == "held" else 1)
        assert last == ("updated" if name == "held" else "created")
    code, text = await scene.worker.command("retry", scene.tenants["held"])
    assert (code, text) == (0, "no job of this tenant waits for an attempt\n")
    code, status = await scene.read("status", scene.tenants["held"])
    assert (code, status["state"], status["as_desired"]) == (0, "idle", True)
    code, history = await scene.read("history", scene.tenants["held"])
    assert [each["outcome"] for each in history["transitions"]] == ["created", "updated"]
    code, text = await scene.worker.command("history", scene.tenants["held"])
    assert "version changed" in text
    code, text = await scene.worker.command("status", "nobody")
    assert code == 3
    assert "LE305" in text


async def test_jobs_are_shown_with_their_tenant_while_no_worker_runs(harness: Harness) -> None:
    worker = await harness.worker(hold_retry_interval="10m")
    scene = Scene(worker, {})
    await worker.terminate()
    tenant = harness.tenant()
    job = await harness.send(tenant, "provision", version=1)
    await harness.wait_status(job, "backing-off")

    status = await scene.wait_state(tenant, "retrying")

    assert status["jobs"][0]["code"] == "RT0010"
