import json
from collections.abc import AsyncIterator

import pytest
from pytest_httpserver import HTTPServer

from landlord_engines_core.compute import ComputeResult, ResourceState
from landlord_engines_core.compute.mock import MockCompute
from landlord_engines_core.errors import ComputeRefused, ComputeUnavailable
from landlord_engines_core.landlord import LandlordClient
from landlord_engines_core.models import Note, Placement, Record
from landlord_engines_core.tenants.results import Applied
from landlord_engines_core.tenants.understand import understand
from landlord_test_target.direct import DirectSteps, ScriptedCompute, jobs

NOT_THERE = {"error": "tenant not found"}


def body(operation: str = "provision", **config: object) -> bytes:
    return json.dumps(
        {"tenant_uuid": "t", "operation": operation, "desired_config": config}
    ).encode()


@pytest.fixture
async def landlord(httpserver: HTTPServer) -> AsyncIterator[LandlordClient]:
    httpserver.expect_request("/v1/compute/config").respond_with_json(NOT_THERE, status=400)
    client = LandlordClient(httpserver.url_for(""))
    yield client
    await client.aclose()


async def test_a_config_that_landlord_still_wants_is_applied_once(
    httpserver: HTTPServer, landlord: LandlordClient
) -> None:
    httpserver.expect_request("/v1/tenants/t").respond_with_json(
        {"id": "t", "status": "provisioning", "desired_config": {"image": "x"}}
    )
    compute = MockCompute()

    answer = await jobs(("mock", compute), landlord=landlord).run(body(image="x"), DirectSteps())

    assert (answer.output.status, answer.output.message) == ("created", "")
    assert compute.resources["t"].config == {"image": "x"}


async def test_a_tenant_that_landlord_does_not_know_keeps_what_was_applied(
    httpserver: HTTPServer, landlord: LandlordClient
) -> None:
    httpserver.expect_request("/v1/tenants/t").respond_with_json(NOT_THERE, status=404)
    compute = MockCompute()

    answer = await jobs(("mock", compute), landlord=landlord).run(body(image="x"), DirectSteps())

    assert (answer.output.status, answer.output.message) == ("created", "")
    assert compute.resources["t"].config == {"image": "x"}


async def test_a_tenant_that_moved_is_destroyed_where_it_was_and_the_record_forgets_that() -> None:
    old, new = MockCompute(), MockCompute()
    first = DirectSteps("one")
    await jobs(("old", old), ("new", new), force="old").run(body(), first)
    second = DirectSteps("two", first.record)

    await jobs(("old", old), ("new", new), force="new").run(body("update"), second)

    assert (set(old.resources), set(new.resources)) == (set(), {"t"})
    assert second.record.placements == (Placement("new"),)
    assert second.record.transitions[-1].gone == (Placement("old"),)


async def test_what_failed_after_it_was_applied_is_put_right() -> None:
    healthy, failed = ResourceState.HEALTHY, ResourceState.FAILED
    compute = ScriptedCompute(states=[ResourceState.MISSING, failed, failed, healthy])

    answer = await jobs(("mock", compute)).run(body(image="x"), DirectSteps())

    assert answer.output.status == "created"
    assert compute.states == []


async def test_what_is_rolled_back_when_it_is_put_right_is_held_and_not_tried_again() -> None:
    states = [ResourceState.FAILED, ResourceState.FAILED, ResourceState.HEALTHY]
    compute = ScriptedCompute(states=states)
    compute.results.append(ComputeResult(rolled_back="it crashed"))
    job, again = understand(body(image="x")), jobs(("mock", compute))._confirmer.confirm
    spec = await jobs(("mock", compute)).resolver.spec(job, Placement("mock"))
    applied = Applied(outcome="updated", config_hash=spec.config_hash, held=Placement("mock"))

    for _ in range(2):
        with pytest.raises(ComputeRefused, match="the former resource serves: it crashed"):
            await again(job, "one", Record(), applied)

    assert (compute.states, compute.results) == ([], [])


async def test_what_fails_again_after_it_was_put_right_is_only_watched() -> None:
    states = [ResourceState.FAILED] * 4
    compute = ScriptedCompute(states=[*states, ResourceState.HEALTHY])
    job, again = understand(body(image="x")), jobs(("mock", compute))._confirmer.confirm
    applied = Applied(outcome="created", config_hash="h", held=Placement("mock"))

    for _ in range(2):
        with pytest.raises(ComputeUnavailable, match="is failed, not healthy"):
            await again(job, "one", Record(), applied)
    confirmed = await again(job, "one", Record(), applied)

    assert confirmed.applied.outcome == "created"
    assert len(compute.resources) == 1


async def test_what_failed_is_put_right_with_what_landlord_wants_by_now(
    httpserver: HTTPServer, landlord: LandlordClient
) -> None:
    httpserver.expect_request("/v1/tenants/t").respond_with_json(
        {"id": "t", "status": "updating", "desired_config": {"image": "new"}}
    )
    healthy = [ResourceState.HEALTHY] * 3
    compute = ScriptedCompute(states=[ResourceState.FAILED, ResourceState.FAILED, *healthy])
    confirm = jobs(("mock", compute), landlord=landlord)._confirmer.confirm
    applied = Applied(outcome="updated", config_hash="h", held=Placement("mock"))

    await confirm(understand(body(image="old")), "one", Record(), applied)

    assert compute.resources["t"].config == {"image": "new"}


async def test_without_an_answer_what_failed_is_put_right_with_what_the_job_wants(
    httpserver: HTTPServer, landlord: LandlordClient
) -> None:
    httpserver.expect_request("/v1/tenants/t").respond_with_data("oh", status=500)
    healthy = [ResourceState.HEALTHY] * 2
    compute = ScriptedCompute(states=[ResourceState.FAILED, ResourceState.FAILED, *healthy])
    confirm = jobs(("mock", compute), landlord=landlord)._confirmer.confirm
    applied = Applied(outcome="updated", config_hash="h", held=Placement("mock"))

    await confirm(understand(body(image="old")), "one", Record(), applied)

    assert compute.resources["t"].config == {"image": "old"}


async def test_a_delete_leaves_no_place_of_the_record() -> None:
    a, b = MockCompute(), MockCompute()
    first = DirectSteps("one")
    await jobs(("a", a), ("b", b), force="a").run(body(), first)
    await jobs(("a", a), ("b", b), force="b").run(body(), DirectSteps("stray"))
    note = Note(operation="update", started_at="t", placement=Placement("b"))
    steps = DirectSteps("two", first.record.begun("killed", note))

    answer = await jobs(("a", a), ("b", b)).run(body("delete"), steps)

    assert answer.output.status == "deleted"
    assert {**a.resources, **b.resources} == {}
    assert steps.record.placements == ()


async def test_what_lands_after_a_delete_was_applied_is_destroyed_all_the_same() -> None:
    compute = MockCompute()
    tenants = jobs(("mock", compute))
    await tenants.run(body(), DirectSteps())
    applied = Applied(outcome="absent", gone=(Placement("mock"),))

    confirmed = await tenants._confirmer.confirm(
        understand(body("delete")), "two", Record(), applied
    )

    assert compute.resources == {}
    assert confirmed.applied == applied


async def test_a_delete_without_a_record_asks_each_configured_engine() -> None:
    a, b = MockCompute(), MockCompute()
    await jobs(("a", a), ("b", b), force="b").run(body(), DirectSteps("stray"))
    steps = DirectSteps("two", Record())

    answer = await jobs(("a", a), ("b", b)).run(body("delete"), steps)

    assert answer.output.status == "deleted"
    assert b.resources == {}
    assert steps.record.transitions[-1].gone == (Placement("a"), Placement("b"))


async def test_a_delete_that_finds_nothing_is_done() -> None:
    answer = await jobs(("mock", MockCompute())).run(body("delete"), DirectSteps())

    assert answer.output.status == "absent"
