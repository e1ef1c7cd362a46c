"""A worker is killed with SIGKILL inside any step; another ends the job, with one resource."""

import json
import re
import threading

import pytest
from pytest_httpserver import HTTPServer
from werkzeug import Request, Response

from landlord_test_target.harness import Worker, World, wait_for


@pytest.mark.parametrize("where", ["restarted", "another"])
@pytest.mark.parametrize(
    ("call", "delay"),
    [("create", "delay_before"), ("create", "delay_after"), ("inspect", "delay_after")],
)
async def test_a_worker_killed_inside_apply_leaves_one_resource(
    world: World, call: str, delay: str, where: str
) -> None:
    worker = await world.worker()
    tenant = world.tenant()
    # Only unique names stop a create that lands later. An inspect sees all earlier ones.
    duplicate = int(delay == "delay_after")
    await world.target.set_fault(tenant, "create", duplicate=duplicate)
    await world.target.set_fault(tenant, call, duplicate=duplicate, **{delay: 1.0})

    job = await world.send(tenant, "provision", version=1)
    await world.target.wait_called(tenant, call)
    await _has_acted(world, tenant, call, delay)
    await worker.kill()
    await _takes_over(world, worker, where)

    await world.wait_done(job)
    assert len(await world.target.resources(tenant)) == 1
    assert len(await world.wait_ended(tenant, 1)) == 1


@pytest.mark.parametrize("where", ["restarted", "another"])
async def test_a_worker_killed_inside_confirm_leaves_one_resource(world: World, where: str) -> None:
    worker = await world.worker()
    tenant = world.tenant()
    await world.target.set_fault(tenant, "create", delay_after=0.3, duplicate=1)
    job = await world.send(tenant, "provision", version=1)
    await world.target.wait_called(tenant, "create")
    # The first look was the plan's; the next one confirms.
    await world.target.set_fault(tenant, "inspect", delay_after=1.0)
    await world.target.wait_called(tenant, "inspect", 2)

    await worker.kill()
    await _takes_over(world, worker, where)

    answer = await world.wait_done(job)
    # The next attempt finds this one's resource, already up to date.
    assert answer["output"]["status"] == "unchanged"
    assert len(await world.target.ledger(tenant, "create")) == 1
    assert len(await world.target.resources(tenant)) == 1


@pytest.mark.parametrize("where", ["restarted", "another"])
async def test_a_worker_killed_inside_resolve_leaves_one_resource(world: World, where: str) -> None:
    tenant = world.tenant()
    asked: list[str] = []

    def answer(request: Request) -> Response:
        asked.append(request.path)
        if len(asked) == 1:
            threading.Event().wait(1.0)
        body = {"id": tenant, "provider": "target", "desired_config": {"version": 1}}
        return Response(json.dumps(body), 200, content_type="application/json")

    async def look() -> bool:
        return bool(asked)

    with HTTPServer(threaded=True) as landlord:
        landlord.expect_request(re.compile("/v1/.*")).respond_with_handler(answer)
        worker = await world.worker(api=landlord.url_for("/"))
        job = await world.send(tenant, "provision", version=1)
        await wait_for(look)

        await worker.kill()
        await _takes_over(world, worker, where)
        await world.wait_done(job)

    assert len(await world.target.resources(tenant)) == 1


@pytest.mark.parametrize("where", ["restarted", "another"])
async def test_a_worker_killed_while_a_job_waits_for_its_lock_leaves_one_resource(
    world: World, where: str
) -> None:
    worker = await world.worker()
    tenant = world.tenant()
    await world.target.set_fault(tenant, "create", delay_before=1.0)
    older = await world.send(tenant, "provision", version=1)
    await world.target.wait_called(tenant, "create")
    newer = await world.send(tenant, "update", version=2)
    await world.wait_status(newer, "suspended")

    await worker.kill()
    await _takes_over(world, worker, where)

    await world.wait_done(newer)
    await world.wait_status(older, "completed")
    assert (await world.target.document(tenant))["version"] == 2


@pytest.mark.parametrize(
    ("operation", "call", "left"), [("update", "update", [2]), ("delete", "delete", [])]
)
async def test_an_update_or_a_delete_is_completed_after_its_worker_was_killed(
    world: World, operation: str, call: str, left: list[int]
) -> None:
    worker = await world.worker()
    tenant = world.tenant()
    await world.run(tenant, "provision", version=1)
    await world.target.set_fault(tenant, call, delay_after=1.0)

    job = await world.send(tenant, operation, version=2)
    await _has_acted(world, tenant, call, "delay_after")
    await worker.kill()
    await world.restart(worker)

    await world.wait_done(job)
    assert await _versions(world, tenant) == left


async def test_a_worker_killed_inside_a_move_leaves_the_new_location_only(world: World) -> None:
    worker = await world.worker()
    tenant = world.tenant()
    await world.run(tenant, "provision", version=1, location="east")
    await world.target.set_fault(tenant, "create", duplicate=1)
    await world.target.set_fault(tenant, "delete", delay_before=1.0)

    job = await world.send(tenant, "update", version=2, location="west")
    await world.target.wait_called(tenant, "delete")
    await worker.kill()
    await world.restart(worker)

    await world.wait_done(job)
    assert await _versions(world, tenant) == [2]
    (resource,) = await world.target.resources(tenant)
    assert resource["location"] == "west"
    await world.wait_ended(tenant, 2)
    assert len((await world.status(tenant))["placements"]) == 1


async def test_a_create_whose_answer_is_lost_makes_no_second_resource(world: World) -> None:
    await world.worker()
    tenant = world.tenant()
    await world.target.set_fault(tenant, "create", drop=1, duplicate=1)

    await world.run(tenant, "provision", version=1)

    assert len(await world.target.resources(tenant)) == 1


async def test_a_step_that_hangs_is_retried_after_its_timeout(world: World) -> None:
    await world.worker(step_timeout="1s")
    tenant = world.tenant()
    await world.target.set_fault(tenant, "create", delay_before=3.0)
    job = await world.send(tenant, "provision", version=1)
    await world.wait_held(job, "longer than worker.step_timeout")
    await world.target.set_fault(tenant, "create")

    await world.wait_done(job)

    # The late create meets the name of the second one.
    await wait_for(lambda: world.target.ledger(tenant, "create", "409"))
    assert len(await world.target.resources(tenant)) == 1


async def _has_acted(world: World, tenant: str, call: str, delay: str) -> None:
    """Wait for the act, if the delay comes after it."""

    async def look() -> bool:
        rows = await world.target.rows(tenant)
        return any(row["call"] == call and row["outcome"] != "asked" for row in rows)

    if delay == "delay_after":
        await wait_for(look)


async def _versions(world: World, tenant: str) -> list[int]:
    rows = await world.target.resources(tenant)
    return [json.loads(row["document"])["version"] for row in rows]


async def _takes_over(world: World, worker: Worker, where: str) -> None:
    """Start the same worker again, or another one at the killed one's address.

    Restate pins a job to its deployment. Another worker continues the job only at the same address, as
    behind a load balancer.
    """
    config = {**worker.config}
    if where == "another":
        config["worker"] = {**config["worker"], "hold_retry_interval": "29s"}
    await (await world.launch(config)).wait_registered()
