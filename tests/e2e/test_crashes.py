"""A worker is killed with SIGKILL in each step; another worker ends the job, with one resource."""

import json
import re
import threading

import pytest
from pytest_httpserver import HTTPServer
from werkzeug import Request, Response

from landlord_test_target.harness import Harness, Worker, wait_for


@pytest.mark.parametrize("where", ["restarted", "another"])
@pytest.mark.parametrize(
    ("call", "delay"),
    [("create", "delay_before"), ("create", "delay_after"), ("inspect", "delay_after")],
)
async def test_a_worker_killed_inside_apply_leaves_one_resource(
    harness: Harness, call: str, delay: str, where: str
) -> None:
    worker = await harness.worker()
    tenant = harness.tenant()
    # Only unique names stop a create that arrives later. An inspect sees all earlier ones.
    duplicate = int(delay == "delay_after")
    await harness.target.set_fault(tenant, "create", duplicate=duplicate)
    await harness.target.set_fault(tenant, call, duplicate=duplicate, **{delay: 1.0})

    job = await harness.send(tenant, "provision", version=1)
    await harness.target.wait_called(tenant, call)
    await _has_acted(harness, tenant, call, delay)
    await worker.kill()
    await _start_successor(harness, worker, where)

    await harness.wait_done(job)
    assert len(await harness.target.resources(tenant)) == 1
    assert len(await harness.wait_ended(tenant, 1)) == 1


@pytest.mark.parametrize("where", ["restarted", "another"])
async def test_a_worker_killed_inside_confirm_leaves_one_resource(
    harness: Harness, where: str
) -> None:
    worker = await harness.worker()
    tenant = harness.tenant()
    await harness.target.set_fault(tenant, "create", delay_after=0.3, duplicate=1)
    job = await harness.send(tenant, "provision", version=1)
    await harness.target.wait_called(tenant, "create")
    # The first inspect belongs to the plan, and the next one to the confirmation.
    await harness.target.set_fault(tenant, "inspect", delay_after=1.0)
    await harness.target.wait_called(tenant, "inspect", 2)

    await worker.kill()
    await _start_successor(harness, worker, where)

    answer = await harness.wait_done(job)
    # The next attempt finds this one's resource, already up to date.
    assert answer["output"]["status"] == "unchanged"
    assert len(await harness.target.ledger(tenant, "create")) == 1
    assert len(await harness.target.resources(tenant)) == 1


@pytest.mark.parametrize("where", ["restarted", "another"])
async def test_a_worker_killed_inside_resolve_leaves_one_resource(
    harness: Harness, where: str
) -> None:
    tenant = harness.tenant()
    requests: list[str] = []

    def answer(request: Request) -> Response:
        requests.append(request.path)
        if len(requests) == 1:
            threading.Event().wait(1.0)
        body = {"id": tenant, "provider": "target", "desired_config": {"version": 1}}
        return Response(json.dumps(body), 200, content_type="application/json")

    async def check() -> bool:
        return bool(requests)

    with HTTPServer(threaded=True) as landlord:
        landlord.expect_request(re.compile("/v1/.*")).respond_with_handler(answer)
        worker = await harness.worker(api=landlord.url_for("/"))
        job = await harness.send(tenant, "provision", version=1)
        await wait_for(check)

        await worker.kill()
        await _start_successor(harness, worker, where)
        await harness.wait_done(job)

    assert len(await harness.target.resources(tenant)) == 1


@pytest.mark.parametrize("where", ["restarted", "another"])
async def test_a_worker_killed_while_a_job_waits_for_its_lock_leaves_one_resource(
    harness: Harness, where: str
) -> None:
    worker = await harness.worker()
    tenant = harness.tenant()
    await harness.target.set_fault(tenant, "create", delay_before=1.0)
    older = await harness.send(tenant, "provision", version=1)
    await harness.target.wait_called(tenant, "create")
    newer = await harness.send(tenant, "update", version=2)
    await harness.wait_status(newer, "suspended")

    await worker.kill()
    await _start_successor(harness, worker, where)

    await harness.wait_done(newer)
    await harness.wait_status(older, "completed")
    assert (await harness.target.document(tenant))["version"] == 2


@pytest.mark.parametrize(
    ("operation", "call", "left"), [("update", "update", [2]), ("delete", "delete", [])]
)
async def test_an_update_or_a_delete_is_completed_after_its_worker_was_killed(
    harness: Harness, operation: str, call: str, left: list[int]
) -> None:
    worker = await harness.worker()
    tenant = harness.tenant()
    await harness.run(tenant, "provision", version=1)
    await harness.target.set_fault(tenant, call, delay_after=1.0)

    job = await harness.send(tenant, operation, version=2)
    await _has_acted(harness, tenant, call, "delay_after")
    await worker.kill()
    await harness.restart(worker)

    await harness.wait_done(job)
    assert await _versions(harness, tenant) == left


async def test_a_worker_killed_inside_a_move_leaves_the_new_location_only(harness: Harness) -> None:
    worker = await harness.worker()
    tenant = harness.tenant()
    await harness.run(tenant, "provision", version=1, location="east")
    await harness.target.set_fault(tenant, "create", duplicate=1)
    await harness.target.set_fault(tenant, "delete", delay_before=1.0)

    job = await harness.send(tenant, "update", version=2, location="west")
    await harness.target.wait_called(tenant, "delete")
    await worker.kill()
    await harness.restart(worker)

    await harness.wait_done(job)
    assert await _versions(harness, tenant) == [2]
    (resource,) = await harness.target.resources(tenant)
    assert resource["location"] == "west"
    await harness.wait_ended(tenant, 2)
    assert len((await harness.status(tenant))["placements"]) == 1


async def test_a_create_whose_answer_is_lost_makes_no_second_resource(harness: Harness) -> None:
    await harness.worker()
    tenant = harness.tenant()
    await harness.target.set_fault(tenant, "create", drop=1, duplicate=1)

    await harness.run(tenant, "provision", version=1)

    assert len(await harness.target.resources(tenant)) == 1


async def test_a_step_that_hangs_is_retried_after_its_timeout(harness: Harness) -> None:
    await harness.worker(step_timeout="1s")
    tenant = harness.tenant()
    await harness.target.set_fault(tenant, "create", delay_before=3.0)
    job = await harness.send(tenant, "provision", version=1)
    await harness.wait_held(job, "longer than worker.step_timeout")
    await harness.target.set_fault(tenant, "create")

    await harness.wait_done(job)

    # The late create is refused, because the second create has the name.
    await wait_for(lambda: harness.target.ledger(tenant, "create", "409"))
    assert len(await harness.target.resources(tenant)) == 1


async def _has_acted(harness: Harness, tenant: str, call: str, delay: str) -> None:
    """Wait for the effect of the call, if the delay comes after it."""

    async def check() -> bool:
        rows = await harness.target.rows(tenant)
        return any(row["call"] == call and row["outcome"] != "received" for row in rows)

    if delay == "delay_after":
        await wait_for(check)


async def _versions(harness: Harness, tenant: str) -> list[int]:
    rows = await harness.target.resources(tenant)
    return [json.loads(row["document"])["version"] for row in rows]


async def _start_successor(harness: Harness, worker: Worker, where: str) -> None:
    """Start the same worker again, or another one at the killed one's address.

    Restate pins a job to its deployment. Another worker continues the job only at the same address, as
    behind a load balancer.
    """
    config = {**worker.config}
    if where == "another":
        config["worker"] = {**config["worker"], "hold_retry_interval": "29s"}
    await (await harness.launch(config)).wait_registered()
