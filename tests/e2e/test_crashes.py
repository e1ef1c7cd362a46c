"""A worker killed with -9 inside any step: another ends the job, with one resource."""

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
    await world.target.fault(tenant, call, **{delay: 1.0})

    job = await world.send(tenant, "provision", version=1)
    await world.target.asked(tenant, call)
    await worker.kill()
    await _takes_over(world, worker, where)

    await world.done(job)
    assert len(await world.target.resources(tenant)) == 1
    assert len(await world.ended(tenant, 1)) == 1


@pytest.mark.parametrize("where", ["restarted", "another"])
async def test_a_worker_killed_inside_confirm_leaves_one_resource(world: World, where: str) -> None:
    worker = await world.worker()
    tenant = world.tenant()
    await world.target.fault(tenant, "create", delay_after=0.3)
    job = await world.send(tenant, "provision", version=1)
    await world.target.asked(tenant, "create")
    # apply has looked once already: the next look is confirm's.
    await world.target.fault(tenant, "inspect", delay_after=1.0)
    await world.target.asked(tenant, "inspect", 2)

    await worker.kill()
    await _takes_over(world, worker, where)

    answer = await world.done(job)
    assert answer["output"]["status"] == "created"
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
        await world.done(job)

    assert len(await world.target.resources(tenant)) == 1


@pytest.mark.parametrize("where", ["restarted", "another"])
async def test_a_worker_killed_while_a_job_waits_for_its_turn_leaves_one_resource(
    world: World, where: str
) -> None:
    worker = await world.worker()
    tenant = world.tenant()
    await world.target.fault(tenant, "create", delay_before=1.0)
    older = await world.send(tenant, "provision", version=1)
    await world.target.asked(tenant, "create")
    newer = await world.send(tenant, "update", version=2)
    await world.has_status(newer, "suspended")

    await worker.kill()
    await _takes_over(world, worker, where)

    await world.done(newer)
    await world.has_status(older, "completed")
    assert (await world.target.document(tenant))["version"] == 2


async def _takes_over(world: World, worker: Worker, where: str) -> None:
    """Start the same worker again, or another that serves at the killed one's address.

    Restate pins a job to its deployment, so another worker goes on with it where it has that
    address, as behind a load balancer.
    """
    config = {**worker.config}
    if where == "another":
        config["worker"] = {**config["worker"], "hold_interval": "29s"}
    await (await world.launch(config)).registered()
