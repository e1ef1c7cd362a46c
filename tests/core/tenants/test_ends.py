"""The end of a job after crashes depends on the stored results of its steps."""

import json
from collections.abc import Awaitable, Callable
from typing import TypeVar

import attrs
import pytest
from pytest_httpserver import HTTPServer

from landlord_engines_core import codec
from landlord_engines_core.compute import ComputeResult, ResourceState
from landlord_engines_core.errors import ComputeRefused, Held, InvalidJob, JobError, Transient
from landlord_engines_core.landlord import LandlordClient
from landlord_engines_core.models import Placement
from landlord_test_target.in_memory import InMemorySteps, ScriptedCompute, build_tenant_jobs

T = TypeVar("T")


def body(operation: str = "provision", **config: object) -> bytes:
    document = {"tenant_uuid": "t", "operation": operation}
    return json.dumps({**document, "desired_config": config}).encode()


@attrs.define
class JournaledSteps(InMemorySteps):
    """Steps that return the stored result of a completed step, also in the next process."""

    journal: dict[str, bytes | JobError] = attrs.field(factory=dict)

    async def run(self, name: str, action: Callable[[], Awaitable[T]], kind: type[T]) -> T:
        if name not in self.journal:
            self.names.append(name)
            try:
                self.journal[name] = codec.dumps(await action())
            except InvalidJob as error:
                self.journal[name] = error
        value = self.journal[name]
        if isinstance(value, JobError):
            raise value
        return codec.loads(value, kind)


async def prepare_rollback(compute: ScriptedCompute) -> None:
    """Create the tenant, and let its next update be rolled back."""
    await build_tenant_jobs(("mock", compute)).run(body(image="old"), InMemorySteps("zero"))
    compute.results.append(ComputeResult(rolled_back="it crashed"))


async def test_a_rolled_back_update_is_never_applied_again_by_the_same_job() -> None:
    compute, steps = ScriptedCompute(), JournaledSteps()
    await prepare_rollback(compute)

    for _ in range(3):
        process = build_tenant_jobs(("mock", compute))
        with pytest.raises(Held, match="rolled back, the previous resource serves: it crashed"):
            await process.run(body("update", image="new"), steps)

    assert compute.resources["t"].config == {"image": "old"}
    assert steps.names.count("apply") == 1


async def test_a_newer_config_that_is_rolled_back_is_held_and_applied_only_once(
    httpserver: HTTPServer,
) -> None:
    newer = {"id": "t", "status": "ready", "desired_config": {"image": "new"}}
    httpserver.expect_request("/v1/tenants/t").respond_with_json(newer)
    httpserver.expect_request("/v1/compute/config").respond_with_json({"error": "no"}, status=400)
    landlord = LandlordClient(httpserver.url_for("/"))
    compute, steps = ScriptedCompute(), JournaledSteps()
    await prepare_rollback(compute)

    for _ in range(2):
        with pytest.raises(Held, match="rolled back, the previous resource serves: it crashed"):
            await build_tenant_jobs(("mock", compute), landlord=landlord).run(
                body(image="old"), steps
            )
    await landlord.aclose()

    assert compute.resources["t"].config == {"image": "old"}


async def test_a_job_that_fails_permanently_writes_its_end_first() -> None:
    compute, steps = ScriptedCompute(), JournaledSteps()
    compute.results.append(ComputeRefused("no such image"))

    with pytest.raises(InvalidJob, match="no such image"):
        await build_tenant_jobs(("mock", compute), fail_permanently=True).run(
            body(image="x"), steps
        )

    assert steps.names == ["resolve", "acquire", "apply", "fail", "complete"]
    (transition,) = steps.record.transitions
    assert (transition.outcome, transition.detail) == ("refused", "no such image")
    assert steps.record.has_ended("one")
    assert steps.record.placements == (Placement("mock"),)


async def test_the_next_process_writes_an_interrupted_end_with_the_same_value() -> None:
    compute, steps = ScriptedCompute(), JournaledSteps()
    compute.results.append(ComputeRefused("no such image"))

    ends_written = list[str | None]()
    for _ in range(2):
        with pytest.raises(InvalidJob, match="no such image"):
            await build_tenant_jobs(("mock", compute), fail_permanently=True).run(
                body(image="x"), steps
            )
        ends_written.append(steps.record.transitions[-1].ended_at)

    assert ends_written[0] == ends_written[1] is not None
    assert steps.names.count("apply") == 1
    assert compute.resources == {}


async def test_a_rolled_back_update_that_ends_its_job_writes_the_reason_down() -> None:
    compute, steps = ScriptedCompute(), JournaledSteps()
    await prepare_rollback(compute)

    with pytest.raises(InvalidJob, match="it crashed"):
        await build_tenant_jobs(("mock", compute), fail_permanently=True).run(
            body(image="new"), steps
        )

    assert steps.names == ["resolve", "acquire", "apply", "hold", "fail", "complete"]
    assert "it crashed" in steps.record.transitions[-1].detail
    assert compute.resources["t"].config == {"image": "old"}


async def test_a_job_that_is_refused_before_it_has_the_lock_writes_nothing() -> None:
    steps = JournaledSteps()
    unknown = json.dumps({"tenant_uuid": "t", "compute_provider": "nomad"}).encode()

    with pytest.raises(InvalidJob, match="'nomad' is not configured"):
        await build_tenant_jobs(("mock", ScriptedCompute()), fail_permanently=True).run(
            unknown, steps
        )

    assert steps.names == ["resolve"]
    assert steps.record.transitions == ()


async def test_a_later_attempt_of_a_job_watches_the_resource_of_the_previous_one() -> None:
    starting = [ResourceState.STARTING] * 50
    compute, steps = ScriptedCompute(states=[ResourceState.MISSING, *starting]), JournaledSteps()
    tenants = build_tenant_jobs(("mock", compute))
    with pytest.raises(Transient, match="is starting, not healthy"):
        await tenants.run(body(image="x"), steps)
    resource = compute.resources["t"]
    compute.states.clear()

    answer = await tenants.run(body(image="x"), steps)

    assert compute.resources["t"] is resource
    assert answer.output.status == "created"
