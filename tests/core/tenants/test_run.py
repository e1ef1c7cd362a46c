import asyncio
import json
from collections.abc import Mapping

import attrs
import pytest
from pytest_httpserver import HTTPServer

from landlord_engines_core.compute import ComputeResult, Observation, ResourceState
from landlord_engines_core.compute.mock import MockCompute
from landlord_engines_core.errors import Held, InvalidJob, Queued, Transient
from landlord_engines_core.landlord import LandlordClient
from landlord_engines_core.models import ExecutionState, JobStart, Placement, Record
from landlord_engines_core.tenants.parsing import MAX_READ
from landlord_test_target.in_memory import (
    InMemorySteps,
    RecordingLogger,
    ScriptedCompute,
    build_tenant_jobs,
)


def body(operation: str = "provision", **config: object) -> bytes:
    document = {"tenant_id": "acme", "tenant_uuid": "t", "operation": operation}
    return json.dumps({**document, "desired_config": config}).encode()


async def test_every_job_makes_the_same_calls_to_the_backend_in_the_same_order() -> None:
    tenants = build_tenant_jobs(("mock", MockCompute()))

    for operation in ("provision", "provision", "update", "delete", "delete"):
        steps = InMemorySteps(operation)
        await tenants.run(body(operation), steps)
        assert steps.names == ["resolve", "acquire", "apply", "complete"]


async def test_an_answer_has_the_form_of_landlords_own_worker() -> None:
    answer = await build_tenant_jobs(("mock", MockCompute())).run(body(image="x"), InMemorySteps())

    assert answer.state is ExecutionState.SUCCEEDED
    assert (answer.execution_id, answer.provider_type) == ("one", "in-memory")
    assert answer.output.provider_type == "mock"
    assert answer.output.resource_ids == {"tenant": "t"}
    assert answer.start_time <= answer.stop_time


async def test_a_superseded_job_ends_as_cancelled_and_changes_nothing() -> None:
    compute = MockCompute()

    answer = await build_tenant_jobs(("mock", compute)).run(body(), InMemorySteps(superseded=True))

    assert answer.state is ExecutionState.CANCELLED
    assert answer.output.status == "superseded"
    assert compute.resources == {}


async def test_a_job_that_cannot_be_resolved_checks_whether_it_is_superseded() -> None:
    tenants = build_tenant_jobs(("mock", MockCompute()))
    unknown = json.dumps({"tenant_uuid": "t", "compute_provider": "nomad"}).encode()

    with pytest.raises(Held):
        await tenants.run(unknown, InMemorySteps())

    answer = await tenants.run(unknown, InMemorySteps(superseded=True))
    assert answer.state is ExecutionState.CANCELLED


async def test_a_plan_returns_the_action_of_an_apply() -> None:
    compute = MockCompute()
    tenants, steps = build_tenant_jobs(("mock", compute)), InMemorySteps()

    answer = await tenants.run(body("plan", image="x"), steps)

    assert steps.names == ["resolve", "plan"]
    assert answer.output.status == "provision"
    assert compute.resources == {}


async def test_a_resource_that_vanished_after_apply_is_recreated() -> None:
    compute = ScriptedCompute(states=[ResourceState.MISSING, ResourceState.MISSING])

    answer = await build_tenant_jobs(("mock", compute)).run(body(), InMemorySteps())

    assert answer.output.status == "created"
    assert set(compute.resources) == {"t"}


async def test_a_resource_that_keeps_vanishing_is_never_reported_as_created() -> None:
    compute = ScriptedCompute(states=[ResourceState.MISSING] * 4)

    with pytest.raises(Transient, match="vanished after it was created"):
        await build_tenant_jobs(("mock", compute)).run(body(), InMemorySteps())


async def test_the_job_waits_for_a_starting_resource() -> None:
    starting = [ResourceState.MISSING, *[ResourceState.STARTING] * 2]
    compute = ScriptedCompute(states=starting)

    answer = await build_tenant_jobs(("mock", compute)).run(body(), InMemorySteps())

    assert answer.output.status == "created"
    assert compute.states == []


@pytest.mark.parametrize("state", [ResourceState.FAILED, ResourceState.STARTING])
async def test_a_resource_that_is_not_healthy_in_time_is_tried_again(state: ResourceState) -> None:
    compute = ScriptedCompute(states=[ResourceState.MISSING, *[state] * 50])

    with pytest.raises(Transient, match=f"is {state}, not healthy: as scripted"):
        await build_tenant_jobs(("mock", compute)).run(body(), InMemorySteps())


async def test_a_resource_that_a_delete_leaves_behind_is_tried_again() -> None:
    compute = ScriptedCompute(keeps_resource=True)
    tenants = build_tenant_jobs(("mock", compute))
    await tenants.run(body(), InMemorySteps())

    with pytest.raises(Transient, match="still there"):
        await tenants.run(body("delete"), InMemorySteps("two"))


async def test_a_delete_is_held_if_the_record_names_an_engine_that_this_worker_lacks() -> None:
    note = JobStart(operation="provision", started_at="t", placement=Placement("nomad"))
    steps = InMemorySteps("two", Record().with_start("one", note))

    with pytest.raises(Held, match="'nomad' is not configured"):
        await build_tenant_jobs(("mock", MockCompute())).run(body("delete"), steps)


async def test_a_rolled_back_update_is_held_without_values() -> None:
    compute = ScriptedCompute()
    tenants = build_tenant_jobs(("mock", compute))
    await tenants.run(body(image="x"), InMemorySteps())
    compute.results.append(ComputeResult(rolled_back="it crashed"))

    with pytest.raises(Held, match="the previous resource serves: it crashed"):
        await tenants.run(body("update", image="y"), InMemorySteps("two"))


async def test_a_step_is_cancelled_after_its_timeout() -> None:
    class Slow(MockCompute):
        async def inspect(self, tenant: str, location: str) -> Observation:
            await asyncio.Event().wait()
            return await super().inspect(tenant, location)

    with pytest.raises(Transient, match="apply took longer"):
        await build_tenant_jobs(("mock", Slow()), step_timeout=0.01).run(body(), InMemorySteps())


async def test_a_step_without_a_slot_is_retried_soon_and_does_not_count_as_failed() -> None:
    logger = RecordingLogger()
    tenants = build_tenant_jobs(("mock", MockCompute()), logger=logger, step_timeout=0.01)
    tenants.slots.taken = tenants.slots.limit

    with pytest.raises(Queued, match=r"slots of worker\.max_concurrent_jobs"):
        await tenants.run(body(), InMemorySteps())

    text = tenants.jobs.metrics.families.render()[0].decode()
    assert 'landlord_worker_attempt_failures_total{kind="transient"} 0.0' in text
    assert [line for line in logger.lines if line[0] in ("warning", "error")] == []


async def test_a_cancelled_step_is_named_in_a_warning() -> None:
    logger, entered = RecordingLogger(), asyncio.Event()

    class Slow(MockCompute):
        async def inspect(self, tenant: str, location: str) -> Observation:
            entered.set()
            await asyncio.Event().wait()
            return await super().inspect(tenant, location)

    tenants = build_tenant_jobs(("mock", Slow()), logger=logger)
    running = asyncio.create_task(tenants.run(body(), InMemorySteps()))
    await entered.wait()
    running.cancel()
    await asyncio.wait((running,))

    assert running.cancelled()
    assert ("warning", "step cancelled", {"step": "apply"}) in logger.lines
    await tenants.wait_in_flight()


@attrs.define
class LandlordApi:
    """Landlord's answer when a job confirms its result."""

    server: HTTPServer

    def respond(self, status: str = "ready", **config: object) -> LandlordClient:
        answer = {"id": "t", "status": status, "desired_config": config}
        self.server.expect_request("/v1/tenants/t").respond_with_json(answer)
        self.server.expect_request("/v1/compute/config").respond_with_json(
            {"error": "no"}, status=400
        )
        return LandlordClient(self.server.url_for("/"))


@pytest.fixture
def api(httpserver: HTTPServer) -> LandlordApi:
    return LandlordApi(httpserver)


async def test_a_newer_config_at_landlord_is_applied(api: LandlordApi) -> None:
    landlord, compute = api.respond(image="new"), MockCompute()

    tenants = build_tenant_jobs(("mock", compute), landlord=landlord)
    answer = await tenants.run(body(image="old"), InMemorySteps())
    await landlord.aclose()

    assert answer.output.message == "a newer configuration was applied"
    assert (answer.output.status, answer.output.changes) == ("created", ("image changed",))
    assert compute.resources["t"].config == {"image": "new"}


@pytest.mark.parametrize("status", ["archiving", "failed", "requested"])
async def test_a_newer_config_of_a_tenant_that_should_not_run_is_not_applied(
    api: LandlordApi, status: str
) -> None:
    landlord, compute = api.respond(status, image="new"), MockCompute()

    await build_tenant_jobs(("mock", compute), landlord=landlord).run(
        body(image="old"), InMemorySteps()
    )
    await landlord.aclose()

    assert compute.resources["t"].config == {"image": "old"}


async def test_a_newer_config_for_another_engine_is_left_to_the_next_job(api: LandlordApi) -> None:
    landlord, compute, logger = api.respond(compute_provider="b"), MockCompute(), RecordingLogger()
    tenants = build_tenant_jobs(
        ("a", compute), ("b", MockCompute()), landlord=landlord, logger=logger
    )
    named = json.dumps({"tenant_uuid": "t", "compute_provider": "a"}).encode()

    await tenants.run(named, InMemorySteps())
    await landlord.aclose()

    assert "t" in compute.resources
    assert "a newer configuration asks for another location and has to wait" in logger.events(
        "warning"
    )


async def test_an_api_that_is_down_at_the_end_is_logged_and_does_not_hold_the_job() -> None:
    landlord, logger = LandlordClient("http://127.0.0.1:9"), RecordingLogger()
    compute = MockCompute()
    tenants = build_tenant_jobs(("mock", compute), logger=logger)
    tenants.confirmer.landlord = landlord

    answer = await tenants.run(body(), InMemorySteps())
    await landlord.aclose()

    assert answer.output.message.startswith("Landlord's API could not be asked")
    assert logger.events("warning") == ["not asked for a newer configuration"]


UNREADABLE = ['{"a":' * 1000 + "1" + "}" * 1000, json.dumps({"a": "x" * MAX_READ}), "[]", "[NaN]"]


def unreadable(operation: str, config: str) -> bytes:
    return (
        f'{{"tenant_uuid": "t", "operation": "{operation}", "desired_config": {config}}}'.encode()
    )


@pytest.mark.parametrize("config", UNREADABLE, ids=["deep", "large", "type", "number"])
@pytest.mark.parametrize("operation", ["provision", "update", "plan"])
async def test_a_configuration_that_cannot_be_read_is_held_with_its_field(
    operation: str, config: str
) -> None:
    steps, tenants = InMemorySteps(), build_tenant_jobs(("mock", MockCompute()))

    with pytest.raises(Held, match=r"^LE402: \$\.desired_config "):
        await tenants.run(unreadable(operation, config), steps)

    assert steps.names == ["resolve"]
    assert steps.record == Record()
    superseded = await tenants.run(unreadable(operation, config), InMemorySteps(superseded=True))
    assert superseded.state is ExecutionState.CANCELLED


@pytest.mark.parametrize("config", UNREADABLE, ids=["deep", "large", "type", "number"])
async def test_a_delete_succeeds_with_any_configuration(config: str) -> None:
    compute = MockCompute()
    tenants, steps = build_tenant_jobs(("mock", compute)), InMemorySteps()
    await tenants.run(body(), steps)

    second = attrs.evolve(steps, execution_id="two")
    answer = await tenants.run(unreadable("delete", config), second)

    assert (answer.output.status, compute.resources) == ("deleted", {})
    third = InMemorySteps("three")
    assert (await tenants.run(unreadable("delete", config), third)).output.status == "absent"


class MockWithLocations(MockCompute):
    """A mock whose configuration chooses the location."""

    single_location = False

    def location(self, config: Mapping[str, object]) -> str:
        return str(config.get("location", "own"))


async def test_a_delete_waits_where_an_unreadable_configuration_may_name_another_location() -> None:
    tenants, steps = build_tenant_jobs(("located", MockWithLocations())), InMemorySteps()

    with pytest.raises(Held, match="the location of the tenant"):
        await tenants.run(unreadable("delete", "[]"), steps)

    known = InMemorySteps("two")
    await tenants.run(body(location="east"), known)
    known.execution_id = "three"
    assert (await tenants.run(unreadable("delete", "[]"), known)).output.status == "deleted"


async def test_without_a_record_landlord_names_the_location_of_a_tenant(api: LandlordApi) -> None:
    landlord = api.respond("deleting", location="east")
    tenants, steps = (
        build_tenant_jobs(("located", MockWithLocations()), landlord=landlord),
        InMemorySteps(),
    )

    answer = await tenants.run(unreadable("delete", "[]"), steps)
    await landlord.aclose()

    assert answer.output.status == "absent"
    gone = {placement.location for placement in steps.record.transitions[0].removed}
    assert gone == {"east", "own"}


@pytest.mark.parametrize(
    ("status", "answer", "failure"),
    [
        (404, b'{"error": "Tenant not found"}', Held),
        (200, b'{"id": "t", "desired_config": ' + b"[" * 5000 + b"]" * 5000 + b"}", Held),
        (503, b"", Transient),
    ],
)
async def test_a_delete_waits_if_landlord_does_not_answer(
    httpserver: HTTPServer, status: int, answer: bytes, failure: type[Exception]
) -> None:
    httpserver.expect_request("/v1/tenants/t").respond_with_data(answer, status=status)
    landlord = LandlordClient(httpserver.url_for("/"))

    with pytest.raises(failure):
        await build_tenant_jobs(("located", MockWithLocations()), landlord=landlord).run(
            unreadable("delete", "[]"), InMemorySteps()
        )
    await landlord.aclose()


async def test_a_large_body_that_is_no_job_ends_at_once() -> None:
    with pytest.raises(InvalidJob):
        await build_tenant_jobs(("mock", MockCompute())).run(b" " * MAX_READ, InMemorySteps())


async def test_a_configuration_nested_too_deeply_for_a_walk_is_held() -> None:
    """A walk over a value needs more of the stack than parsing it. The amount depends on Python."""
    end_states: set[str] = set()

    for depth in range(400, 1000, 2):
        config = "[" * depth + "]" * depth
        body = f'{{"tenant_uuid": "t", "desired_config": {{"a": {config}}}}}'.encode()
        try:
            await build_tenant_jobs(("mock", MockCompute())).run(body, InMemorySteps())
        except (Held, InvalidJob, Transient) as error:
            end_states.add(type(error).__name__)

    assert end_states <= {"Held"}
