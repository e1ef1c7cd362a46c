from datetime import UTC, datetime, timedelta

import attrs
import pytest

from landlord_engines_core.compute.mock import MockCompute
from landlord_engines_core.errors import ComputeRefused, Held, InvalidJob
from landlord_engines_core.models import JobStart, Record, Transition
from landlord_engines_core.steps import LostAttempts
from landlord_engines_core.tenants import TenantJobs
from landlord_test_target.in_memory import InMemorySteps, ScriptedCompute, build_tenant_jobs
from landlord_test_target.scrape import read_samples

PROVISION = b'{"tenant_uuid": "t", "operation": "provision"}'
REFUSED = ComputeRefused("no", hint="change it")
DELETE = b'{"tenant_uuid": "t", "operation": "delete"}'


@attrs.define
class StartedEarlier(InMemorySteps):
    """Steps of a job whose start is in the record since an attempt in another worker."""

    age: timedelta = timedelta(minutes=10)

    async def acquire(self, tenant: str, start: JobStart) -> Record:
        started_at = (datetime.now(UTC) - self.age).isoformat()
        return await super().acquire(tenant, attrs.evolve(start, started_at=started_at))


def read_durations(tenants: TenantJobs, name: str, operation: str = "provision") -> list[float]:
    """Return the count and the sum of a histogram of jobs on the mock engine."""
    values = read_samples(tenants.jobs.metrics.families)
    labels = f'{{compute_engine="mock",operation="{operation}"}}'
    return [values[f"{name}_seconds_{kind}{labels}"] for kind in ("count", "sum")]


async def test_a_job_is_timed_once_from_its_start_to_its_end() -> None:
    tenants = build_tenant_jobs(("mock", MockCompute()))

    await tenants.run(PROVISION, InMemorySteps())

    for name in ("job_duration", "job_lock_wait"):
        count, seconds = read_durations(tenants, name)
        assert count == 1
        assert 0 <= seconds < 5


async def test_the_duration_of_a_job_goes_on_over_attempts_and_workers() -> None:
    tenants = build_tenant_jobs(("mock", MockCompute()))

    await tenants.run(PROVISION, StartedEarlier())

    count, seconds = read_durations(tenants, "job_duration")
    assert count == 1
    assert 600 <= seconds < 660
    # The first attempt has observed the wait.
    assert read_durations(tenants, "job_lock_wait") == [0, 0]


async def test_a_clock_that_is_ahead_gives_no_negative_duration() -> None:
    tenants = build_tenant_jobs(("mock", MockCompute()))

    await tenants.run(PROVISION, StartedEarlier(age=timedelta(minutes=-10)))

    assert read_durations(tenants, "job_duration") == [1, 0]


async def test_a_retry_that_the_backend_knows_of_does_not_observe_the_wait_again() -> None:
    tenants = build_tenant_jobs(("mock", MockCompute()))

    await tenants.run(PROVISION, InMemorySteps(lost=LostAttempts(is_retry=True)))

    assert read_durations(tenants, "job_lock_wait") == [0, 0]
    assert read_durations(tenants, "job_duration")[0] == 1


async def test_a_held_job_has_waited_once_and_has_not_ended() -> None:
    tenants = build_tenant_jobs(("mock", ScriptedCompute(results=[REFUSED])))

    with pytest.raises(Held):
        await tenants.run(PROVISION, InMemorySteps())

    assert read_durations(tenants, "job_lock_wait")[0] == 1
    assert read_durations(tenants, "job_duration")[0] == 0


async def test_a_refused_job_that_ends_is_timed() -> None:
    compute = ScriptedCompute(results=[REFUSED])
    tenants = build_tenant_jobs(("mock", compute), fail_permanently=True)

    with pytest.raises(InvalidJob):
        await tenants.run(PROVISION, InMemorySteps())

    assert read_durations(tenants, "job_duration")[0] == 1


async def test_a_superseded_job_is_not_timed() -> None:
    tenants = build_tenant_jobs(("mock", MockCompute()))

    await tenants.run(PROVISION, InMemorySteps(superseded=True))

    assert read_durations(tenants, "job_duration")[0] == 0


async def test_a_delete_is_timed_on_the_engine_of_the_record() -> None:
    tenants = build_tenant_jobs(("mock", MockCompute()))
    created = InMemorySteps()
    await tenants.run(PROVISION, created)

    await tenants.run(DELETE, InMemorySteps("two", created.record))

    assert read_durations(tenants, "job_duration", "delete")[0] == 1


async def test_a_delete_without_a_placement_is_timed_on_no_engine() -> None:
    tenants = build_tenant_jobs(("mock", MockCompute()))
    ended = Transition(
        execution_id="one", operation="delete", started_at="", ended_at="", outcome=""
    )
    record = Record(transitions=(ended,), deleted=True)

    await tenants.run(
        b'{"tenant_uuid": "t", "operation": "delete", "desired_config": 1}',
        InMemorySteps("two", record),
    )

    values = read_samples(tenants.jobs.metrics.families)
    assert values['job_duration_seconds_count{compute_engine="none",operation="delete"}'] == 1
