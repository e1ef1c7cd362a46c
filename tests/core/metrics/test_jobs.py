import asyncio
import json
from collections.abc import Mapping

import pytest

from landlord_engines_core.compute import Observation, ResourceState
from landlord_engines_core.compute.mock import MockCompute
from landlord_engines_core.errors import Held, InvalidJob, Transient
from landlord_engines_core.metrics import Metrics
from landlord_engines_core.models import CompletedJob, Operation, Placement
from landlord_engines_core.tenants import TenantJobs
from landlord_engines_core.tenants.plan import Action
from landlord_test_target.in_memory import InMemorySteps, ScriptedCompute, build_tenant_jobs
from landlord_test_target.scrape import read_samples

UNKNOWN_ENGINE = b'{"tenant_uuid": "t", "compute_provider": "nomad"}'


def body(operation: str = "provision", tenant: str = "t", **config: object) -> bytes:
    document = {"tenant_uuid": tenant, "operation": operation, "desired_config": config}
    return json.dumps(document).encode()


def count_ended_jobs(tenants: TenantJobs) -> Mapping[str, float]:
    """Return the number of ended jobs by operation and outcome, without zeros."""
    return {
        " ".join(name.split('"')[1::2]): value
        for name, value in read_samples(tenants.jobs.metrics.families).items()
        if name.startswith("jobs_total") and value
    }


def failures(tenants: TenantJobs) -> list[float]:
    values = read_samples(tenants.jobs.metrics.families)
    return [
        values[f'attempt_failures_total{{kind="{kind}"}}']
        for kind in ("held", "transient", "invalid")
    ]


async def test_jobs_are_counted_by_operation_and_outcome() -> None:
    tenants = build_tenant_jobs(("mock", MockCompute()))

    for operation in ("provision", "provision", "update", "delete", "delete", "plan"):
        await tenants.run(body(operation, image=operation), InMemorySteps())

    assert count_ended_jobs(tenants) == {
        "provision created": 1,
        "provision unchanged": 1,
        "update updated": 1,
        "delete deleted": 1,
        "delete absent": 1,
        "plan provision": 1,
    }


async def test_a_superseded_job_is_counted_and_is_no_failure() -> None:
    tenants = build_tenant_jobs(("mock", MockCompute()))

    await tenants.run(body("update"), InMemorySteps(superseded=True))

    assert count_ended_jobs(tenants) == {"update superseded": 1}
    assert failures(tenants) == [0, 0, 0]


async def test_an_invalid_body_is_counted_without_an_operation() -> None:
    tenants = build_tenant_jobs(("mock", MockCompute()))

    with pytest.raises(InvalidJob):
        await tenants.run(b"{", InMemorySteps())

    assert count_ended_jobs(tenants) == {"unknown invalid": 1}
    assert failures(tenants) == [0, 0, 1]


async def test_a_job_that_ends_in_a_step_is_counted_once() -> None:
    tenants = build_tenant_jobs(("mock", MockCompute()), fail_permanently=True)

    with pytest.raises(InvalidJob):
        await tenants.run(UNKNOWN_ENGINE, InMemorySteps())

    assert count_ended_jobs(tenants) == {"provision invalid": 1}
    assert failures(tenants) == [0, 0, 1]


async def test_every_series_exists_from_the_start() -> None:
    values = read_samples(build_tenant_jobs(("mock", MockCompute())).jobs.metrics.families)

    assert values['jobs_total{operation="delete",outcome="absent"}'] == 0
    assert values['attempt_failures_total{kind="transient"}'] == 0
    assert values['step_duration_seconds_count{step="hold"}'] == 0


@pytest.mark.parametrize("action", Action)
def test_each_result_of_a_plan_has_its_series(action: Action) -> None:
    metrics = Metrics()

    metrics.jobs.count_job(Operation.PLAN, action)

    assert read_samples(metrics.families)[f'jobs_total{{operation="plan",outcome="{action}"}}'] == 1


async def test_resyncs_are_counted_separately_from_jobs() -> None:
    tenants = build_tenant_jobs(("mock", MockCompute()))
    job = InMemorySteps()
    await tenants.run(body(), job)

    gone = CompletedJob(
        tenant="t", execution_id="one", operation="delete", removed=(Placement("mock"),)
    )
    for _ in range(2):
        await tenants.resync(gone, InMemorySteps("two", job.record))

    assert count_ended_jobs(tenants) == {
        "provision created": 1,
        "resync deleted": 1,
        "resync unchanged": 1,
    }


def test_an_outcome_of_a_later_version_creates_no_new_series() -> None:
    metrics = Metrics()
    before = read_samples(metrics.families).keys()

    metrics.jobs.count_job(Operation.DELETE, "buried")

    assert read_samples(metrics.families).keys() == before
    assert read_samples(metrics.families)['jobs_total{operation="delete",outcome="other"}'] == 1


async def test_no_tenant_and_no_message_is_in_a_label() -> None:
    tenants = build_tenant_jobs(("mock", MockCompute()))
    before = read_samples(tenants.jobs.metrics.families).keys()

    for number in range(20):
        await tenants.run(body(tenant=f"tenant-{number}"), InMemorySteps(f"job-{number}"))
    with pytest.raises(Held):
        await tenants.run(UNKNOWN_ENGINE, InMemorySteps("held-job"))

    assert read_samples(tenants.jobs.metrics.families).keys() == before


async def test_each_attempt_of_a_step_is_timed_however_it_ends() -> None:
    states = [ResourceState.MISSING, *[ResourceState.FAILED] * 50]
    tenants = build_tenant_jobs(("mock", ScriptedCompute(states=states)))

    with pytest.raises(Transient):
        await tenants.run(body(), InMemorySteps())

    values = read_samples(tenants.jobs.metrics.families)
    counts = [
        values[f'step_duration_seconds_count{{step="{step}"}}']
        for step in ("resolve", "apply", "hold")
    ]
    assert counts == [1, 1, 0]
    assert values['step_duration_seconds_sum{step="apply"}'] > 0
    assert failures(tenants) == [0, 1, 0]


async def test_a_job_counts_as_in_flight_while_it_runs() -> None:
    entered, release = asyncio.Event(), asyncio.Event()

    class Slow(MockCompute):
        async def inspect(self, tenant: str, location: str) -> Observation:
            entered.set()
            await release.wait()
            return await super().inspect(tenant, location)

    tenants = build_tenant_jobs(("mock", Slow()))
    running = asyncio.create_task(tenants.run(body(), InMemorySteps()))
    await entered.wait()
    during = read_samples(tenants.jobs.metrics.families)["jobs_in_flight"]
    release.set()
    await running

    assert during == 1
    assert read_samples(tenants.jobs.metrics.families)["jobs_in_flight"] == 0
    assert failures(tenants) == [0, 0, 0]


async def test_a_cancelled_job_no_longer_counts_as_in_flight_and_has_not_failed() -> None:
    entered = asyncio.Event()

    class Slow(MockCompute):
        async def inspect(self, tenant: str, location: str) -> Observation:
            entered.set()
            await asyncio.Event().wait()
            raise AssertionError

    tenants = build_tenant_jobs(("mock", Slow()))
    running = asyncio.create_task(tenants.run(body(), InMemorySteps()))
    await entered.wait()
    running.cancel()
    await asyncio.wait((running,))

    values = read_samples(tenants.jobs.metrics.families)
    assert values["jobs_in_flight"] == 0
    assert tenants.slots.taken == 0
    assert values['step_duration_seconds_count{step="apply"}'] == 1
    assert failures(tenants) == [0, 0, 0]


async def test_a_held_job_counts_once_until_it_continues() -> None:
    compute = ScriptedCompute(schema={"required": ["image"]})
    tenants = build_tenant_jobs(("mock", compute))
    for _ in range(3):
        with pytest.raises(Held):
            await tenants.run(body(), InMemorySteps())
    held = read_samples(tenants.jobs.metrics.families)["jobs_held"]

    await tenants.run(body(image="x"), InMemorySteps())

    assert held == 1
    assert read_samples(tenants.jobs.metrics.families)["jobs_held"] == 0
    assert failures(tenants) == [3, 0, 0]
