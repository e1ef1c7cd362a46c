import json
from collections.abc import AsyncIterator

import attrs
import pytest
from pytest_httpserver import HTTPServer

from landlord_engines_core.compute import (
    ComputeResult,
    ComputeSpec,
    Observation,
    ResourceState,
)
from landlord_engines_core.compute.mock import MockCompute
from landlord_engines_core.errors import ComputeUnavailable, LandlordUnavailable, Transient
from landlord_engines_core.landlord import LandlordClient
from landlord_engines_core.models import JobStart, Placement, Record
from landlord_engines_core.tenants import TenantJobs
from landlord_engines_core.tenants.parsing import parse_job
from landlord_engines_core.tenants.results import Confirmed
from landlord_test_target.in_memory import (
    InMemorySteps,
    RecordingLogger,
    ScriptedCompute,
    build_tenant_jobs,
)

NOT_THERE = {"error": "tenant not found"}


def body(operation: str = "provision", **config: object) -> bytes:
    return json.dumps(
        {"tenant_uuid": "t", "operation": operation, "desired_config": config}
    ).encode()


async def apply_job(tenants: TenantJobs, raw: bytes, execution_id: str = "one") -> Confirmed:
    """Do the work of a job on the engine `mock`, as one attempt of the step `apply` does."""
    return await tenants.confirmer.provide(
        parse_job(raw), execution_id, Record(), Placement("mock")
    )


@attrs.frozen
class CountingMock(ScriptedCompute):
    """A scripted mock that counts its calls."""

    asked: list[str] = attrs.field(factory=list)

    async def provision(self, spec: ComputeSpec) -> ComputeResult:
        self.asked.append("provision")
        return await super().provision(spec)

    async def update(self, spec: ComputeSpec) -> ComputeResult:
        self.asked.append("update")
        return await super().update(spec)


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

    answer = await build_tenant_jobs(("mock", compute), landlord=landlord).run(
        body(image="x"), InMemorySteps()
    )

    assert (answer.output.status, answer.output.message) == ("created", "")
    assert compute.resources["t"].config == {"image": "x"}


async def test_a_tenant_that_landlord_does_not_know_keeps_what_was_applied(
    httpserver: HTTPServer, landlord: LandlordClient
) -> None:
    httpserver.expect_request("/v1/tenants/t").respond_with_json(NOT_THERE, status=404)
    compute = MockCompute()

    answer = await build_tenant_jobs(("mock", compute), landlord=landlord).run(
        body(image="x"), InMemorySteps()
    )

    assert (answer.output.status, answer.output.message) == ("created", "")
    assert compute.resources["t"].config == {"image": "x"}


async def test_the_old_location_of_a_moved_tenant_is_cleared_and_removed_from_the_record() -> None:
    old, new = MockCompute(), MockCompute()
    first = InMemorySteps("one")
    await build_tenant_jobs(("old", old), ("new", new), force="old").run(body(), first)
    second = InMemorySteps("two", first.record)

    await build_tenant_jobs(("old", old), ("new", new), force="new").run(body("update"), second)

    assert (set(old.resources), set(new.resources)) == (set(), {"t"})
    assert second.record.placements == (Placement("new"),)
    assert second.record.transitions[-1].removed == (Placement("old"),)


async def test_a_resource_that_failed_after_apply_is_repaired() -> None:
    healthy, failed = ResourceState.HEALTHY, ResourceState.FAILED
    compute = ScriptedCompute(states=[ResourceState.MISSING, failed, failed, healthy])

    answer = await build_tenant_jobs(("mock", compute)).run(body(image="x"), InMemorySteps())

    assert answer.output.status == "created"
    assert compute.states == []


async def test_a_rollback_during_a_repair_is_the_result_of_the_step() -> None:
    states = [ResourceState.MISSING, ResourceState.FAILED, ResourceState.FAILED]
    compute = ScriptedCompute(states=states, results=[ComputeResult()])
    compute.results.append(ComputeResult(rolled_back="it crashed"))

    confirmed = await apply_job(build_tenant_jobs(("mock", compute)), body(image="x"))

    assert (confirmed.applied.outcome, confirmed.applied.rolled_back) == (
        "rolled-back",
        "it crashed",
    )
    assert (compute.states, compute.results) == ([], [])


async def test_a_later_attempt_in_the_same_process_only_watches_the_applied_resource() -> None:
    starting = [ResourceState.STARTING] * 50
    compute = CountingMock(states=[ResourceState.MISSING, *starting])
    tenants = build_tenant_jobs(("mock", compute))

    with pytest.raises(ComputeUnavailable, match="is starting, not healthy"):
        await apply_job(tenants, body(image="x"))
    compute.states.clear()
    confirmed = await apply_job(tenants, body(image="x"))

    assert compute.asked == ["provision"]
    assert confirmed.applied.outcome == "created"


async def test_an_attempt_in_another_process_decides_by_the_state_of_the_target() -> None:
    compute = CountingMock(states=[ResourceState.MISSING, *[ResourceState.STARTING] * 50])
    with pytest.raises(ComputeUnavailable):
        await apply_job(build_tenant_jobs(("mock", compute)), body(image="x"))
    compute.states.clear()

    confirmed = await apply_job(build_tenant_jobs(("mock", compute)), body(image="x"))

    assert compute.asked == ["provision"]
    assert confirmed.applied.outcome == "unchanged"


async def test_a_resource_that_fails_again_after_a_repair_is_only_watched() -> None:
    failed = ResourceState.FAILED
    compute = CountingMock(states=[ResourceState.MISSING, *[failed] * 4])
    tenants = build_tenant_jobs(("mock", compute))

    for _ in range(2):
        with pytest.raises(ComputeUnavailable, match="is failed, not healthy"):
            await apply_job(tenants, body(image="x"))
    confirmed = await apply_job(tenants, body(image="x"))

    assert compute.states == []
    assert compute.asked == ["provision", "update", "provision"]  # a mock's update provisions
    assert confirmed.applied.outcome == "created"


async def test_a_repair_applies_the_current_configuration_of_landlord(
    httpserver: HTTPServer, landlord: LandlordClient
) -> None:
    httpserver.expect_request("/v1/tenants/t").respond_with_json(
        {"id": "t", "status": "updating", "desired_config": {"image": "new"}}
    )
    states = [ResourceState.MISSING, *[ResourceState.FAILED] * 2]
    compute = ScriptedCompute(states=states)

    confirmed = await apply_job(
        build_tenant_jobs(("mock", compute), landlord=landlord), body(image="old")
    )

    assert compute.resources["t"].config == {"image": "new"}
    assert confirmed.detail == "a newer configuration was applied"


async def test_without_an_answer_of_landlord_a_repair_applies_the_configuration_of_the_job(
    httpserver: HTTPServer, landlord: LandlordClient
) -> None:
    httpserver.expect_request("/v1/tenants/t").respond_with_data("oh", status=500)
    states = [ResourceState.MISSING, *[ResourceState.FAILED] * 2]
    compute = ScriptedCompute(states=states)

    await apply_job(build_tenant_jobs(("mock", compute), landlord=landlord), body(image="old"))

    assert compute.resources["t"].config == {"image": "old"}


@attrs.frozen
class ContestedMock(CountingMock):
    """A mock whose resource another worker changes after each create, this many times."""

    changes: list[ComputeSpec] = attrs.field(factory=list)

    async def inspect(self, tenant: str, location: str) -> Observation:
        if self.changes and tenant in self.resources:
            self.resources[tenant] = self.changes.pop()
        return await super().inspect(tenant, location)


async def other_spec(tenants: TenantJobs, *, image: str) -> ComputeSpec:
    return await tenants.jobs.actions.resolver.spec(parse_job(body(image=image)), Placement("mock"))


async def test_a_healthy_resource_with_another_hash_is_repaired_each_time() -> None:
    compute = ContestedMock()
    tenants = build_tenant_jobs(("mock", compute))
    compute.changes.extend([await other_spec(tenants, image="theirs")] * 2)

    confirmed = await apply_job(tenants, body(image="ours"))

    assert compute.resources["t"].config == {"image": "ours"}
    assert confirmed.applied.changes == ("image changed",)
    assert compute.changes == []


async def test_a_resource_with_the_hash_of_landlords_current_configuration_is_kept(
    httpserver: HTTPServer, landlord: LandlordClient
) -> None:
    httpserver.expect_request("/v1/tenants/t").respond_with_json(
        {"id": "t", "status": "updating", "desired_config": {"image": "new"}}
    )
    compute = ContestedMock()
    tenants = build_tenant_jobs(("mock", compute), landlord=landlord)
    compute.changes.append(await other_spec(tenants, image="new"))

    confirmed = await apply_job(tenants, body(image="old"))

    assert compute.asked == ["provision"]
    assert compute.resources["t"].config == {"image": "new"}
    assert confirmed.applied.config_hash == (await other_spec(tenants, image="new")).config_hash


async def test_the_number_of_remembered_unconfirmed_jobs_is_limited() -> None:
    compute = ScriptedCompute(results=[ComputeResult()] * 1001)
    tenants = build_tenant_jobs(("mock", compute), health_timeout=0.0)

    for number in range(1001):
        compute.states.extend([ResourceState.MISSING, ResourceState.STARTING])
        with pytest.raises(ComputeUnavailable):
            await apply_job(tenants, body(), f"job-{number}")

    assert len(tenants.confirmer._work) == 1000
    assert "job-0" not in tenants.confirmer._work


async def test_the_applied_configuration_is_forgotten_when_the_job_ends() -> None:
    tenants = build_tenant_jobs(("mock", MockCompute()))

    await apply_job(tenants, body())

    assert not tenants.confirmer._work


@pytest.mark.parametrize(
    ("status", "is_desired"),
    [
        ("provisioning", True),
        ("updating", True),
        ("ready", True),
        ("requested", False),
        ("archiving", False),
        ("archived", False),
        ("failed", False),
    ],
)
async def test_landlord_wants_a_tenant_that_it_shows_as_ready_or_in_progress(
    httpserver: HTTPServer, landlord: LandlordClient, status: str, *, is_desired: bool
) -> None:
    httpserver.expect_request("/v1/tenants/t").respond_with_json({"id": "t", "status": status})

    assert await build_tenant_jobs(landlord=landlord).is_desired("t") is is_desired


async def test_landlord_does_not_want_an_unknown_tenant(
    httpserver: HTTPServer, landlord: LandlordClient
) -> None:
    httpserver.expect_request("/v1/tenants/t").respond_with_json(NOT_THERE, status=404)

    assert await build_tenant_jobs(landlord=landlord).is_desired("t") is False


async def test_without_landlords_api_the_desired_state_is_unknown_and_a_line_is_logged() -> None:
    logger = RecordingLogger()

    assert await build_tenant_jobs(logger=logger).is_desired("t") is None

    (warning,) = logger.events("warning")
    assert "time of dispatch decides" in warning


async def test_without_an_answer_landlord_is_asked_again(
    httpserver: HTTPServer, landlord: LandlordClient
) -> None:
    httpserver.expect_request("/v1/tenants/t").respond_with_data("oh", status=500)

    with pytest.raises(Transient) as raised:
        await build_tenant_jobs(landlord=landlord).is_desired("t")

    assert isinstance(raised.value.__cause__, LandlordUnavailable)


async def test_a_delete_clears_every_location_of_the_record() -> None:
    a, b = MockCompute(), MockCompute()
    first = InMemorySteps("one")
    await build_tenant_jobs(("a", a), ("b", b), force="a").run(body(), first)
    await build_tenant_jobs(("a", a), ("b", b), force="b").run(body(), InMemorySteps("stray"))
    note = JobStart(operation="update", started_at="t", placement=Placement("b"))
    steps = InMemorySteps("two", first.record.with_start("killed", note))

    answer = await build_tenant_jobs(("a", a), ("b", b)).run(body("delete"), steps)

    assert answer.output.status == "deleted"
    assert {**a.resources, **b.resources} == {}
    assert steps.record.placements == ()


async def test_the_next_attempt_of_a_delete_removes_leftovers() -> None:
    compute = ScriptedCompute(states=[ResourceState.HEALTHY] * 50)
    tenants = build_tenant_jobs(("mock", compute))
    with pytest.raises(ComputeUnavailable, match="is still there"):
        await tenants.confirmer.remove("t", (Placement("mock"),))
    await apply_job(build_tenant_jobs(("mock", compute)), body())
    compute.states.clear()

    confirmed = await tenants.confirmer.remove("t", (Placement("mock"),))

    assert compute.resources == {}
    assert (confirmed.applied.outcome, confirmed.applied.removed) == (
        "deleted",
        (Placement("mock"),),
    )


async def test_a_delete_without_a_record_tries_each_configured_engine() -> None:
    a, b = MockCompute(), MockCompute()
    await build_tenant_jobs(("a", a), ("b", b), force="b").run(body(), InMemorySteps("stray"))
    steps = InMemorySteps("two", Record())

    answer = await build_tenant_jobs(("a", a), ("b", b)).run(body("delete"), steps)

    assert answer.output.status == "deleted"
    assert b.resources == {}
    assert steps.record.transitions[-1].removed == (Placement("a"), Placement("b"))


async def test_a_delete_that_finds_nothing_succeeds() -> None:
    answer = await build_tenant_jobs(("mock", MockCompute())).run(body("delete"), InMemorySteps())

    assert answer.output.status == "absent"
