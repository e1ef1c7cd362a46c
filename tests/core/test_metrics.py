import asyncio
import json
from collections.abc import Awaitable, Callable, Mapping

import pytest
from prometheus_client import REGISTRY, generate_latest

from landlord_engines_core.cache import Cache
from landlord_engines_core.compute import Observation, ResourceState
from landlord_engines_core.compute.mock import MockCompute
from landlord_engines_core.errors import Held, InvalidJob, Queued, Transient
from landlord_engines_core.metrics import MAX_REQUESTS, FailingJobs, Metrics
from landlord_engines_core.models import CompletedJob, Operation, Placement
from landlord_engines_core.tenants import TenantJobs
from landlord_engines_core.tenants.plan import Action
from landlord_test_target.in_memory import InMemorySteps, ScriptedCompute, build_tenant_jobs
from landlord_test_target.scrape import samples

UNKNOWN_ENGINE = b'{"tenant_uuid": "t", "compute_provider": "nomad"}'


def body(operation: str = "provision", tenant: str = "t", **config: object) -> bytes:
    document = {"tenant_uuid": tenant, "operation": operation, "desired_config": config}
    return json.dumps(document).encode()


def read_samples(metrics: Metrics) -> Mapping[str, float]:
    return samples(metrics.render()[0].decode())


def count_ended_jobs(tenants: TenantJobs) -> Mapping[str, float]:
    """Return the number of ended jobs by operation and outcome, without zeros."""
    return {
        " ".join(name.split('"')[1::2]): value
        for name, value in read_samples(tenants.jobs.metrics).items()
        if name.startswith("jobs_total") and value
    }


def failures(tenants: TenantJobs) -> list[float]:
    values = read_samples(tenants.jobs.metrics)
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


async def test_an_overtaken_job_is_counted_as_superseded_and_is_no_failure() -> None:
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
    values = read_samples(build_tenant_jobs(("mock", MockCompute())).jobs.metrics)

    assert values['jobs_total{operation="delete",outcome="absent"}'] == 0
    assert values['attempt_failures_total{kind="transient"}'] == 0
    assert values['step_duration_seconds_count{step="hold"}'] == 0


@pytest.mark.parametrize("action", Action)
def test_each_result_of_a_plan_has_its_series(action: Action) -> None:
    metrics = Metrics()

    metrics.count_job(Operation.PLAN, action)

    assert read_samples(metrics)[f'jobs_total{{operation="plan",outcome="{action}"}}'] == 1


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
    before = read_samples(metrics).keys()

    metrics.count_job(Operation.DELETE, "buried")

    assert read_samples(metrics).keys() == before
    assert read_samples(metrics)['jobs_total{operation="delete",outcome="other"}'] == 1


async def test_no_tenant_and_no_message_is_in_a_label() -> None:
    tenants = build_tenant_jobs(("mock", MockCompute()))
    before = read_samples(tenants.jobs.metrics).keys()

    for number in range(20):
        await tenants.run(body(tenant=f"tenant-{number}"), InMemorySteps(f"job-{number}"))
    with pytest.raises(Held):
        await tenants.run(UNKNOWN_ENGINE, InMemorySteps("held-job"))

    assert read_samples(tenants.jobs.metrics).keys() == before


async def test_each_attempt_of_a_step_is_timed_however_it_ends() -> None:
    states = [ResourceState.MISSING, *[ResourceState.FAILED] * 50]
    tenants = build_tenant_jobs(("mock", ScriptedCompute(states=states)))

    with pytest.raises(Transient):
        await tenants.run(body(), InMemorySteps())

    values = read_samples(tenants.jobs.metrics)
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
    during = read_samples(tenants.jobs.metrics)["jobs_in_flight"]
    release.set()
    await running

    assert during == 1
    assert read_samples(tenants.jobs.metrics)["jobs_in_flight"] == 0
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

    values = read_samples(tenants.jobs.metrics)
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
    held = read_samples(tenants.jobs.metrics)["jobs_held"]

    await tenants.run(body(image="x"), InMemorySteps())

    assert held == 1
    assert read_samples(tenants.jobs.metrics)["jobs_held"] == 0
    assert failures(tenants) == [3, 0, 0]


def test_a_held_job_that_is_not_retried_no_longer_counts() -> None:
    held = FailingJobs(Held)

    held.note("killed", Held("no", retry_after=0))
    held.note("waits", Held("no", retry_after=60))

    assert len(held) == 1


def test_a_held_job_that_fails_in_another_way_is_not_held() -> None:
    held = FailingJobs(Held)
    held.note("one", Held("no", retry_after=60))

    held.note("one", Transient("not now"))

    assert len(held) == 0


def test_a_job_between_two_retries_is_counted_until_its_next_attempt() -> None:
    retried = FailingJobs(Transient)

    retried.note("one", Transient("not now"))
    retried.note("another", Transient("not now", retry_after=60))
    retried.note("waits for a slot", Queued("later"))
    retried.note("held", Held("no", retry_after=60))

    assert len(retried) == 2
    retried.note("one", None)
    assert len(retried) == 1


def test_the_number_of_remembered_held_jobs_is_limited() -> None:
    held = FailingJobs(Held, limit=2)

    for number in range(5):
        held.note(str(number), Held("no", retry_after=60))

    assert len(held) == 2


def test_held_jobs_without_news_are_forgotten() -> None:
    held = FailingJobs(Held)
    held.note("waits", Held("no", retry_after=60))

    for number in range(5):
        held.note(str(number), Held("no", retry_after=0))
    held.note("waits", None)
    held.note("last", Held("no", retry_after=0))

    assert held._until == {}


async def test_a_cache_shows_the_results_of_lookups_and_its_open_requests() -> None:
    metrics, gate = Metrics(), asyncio.Event()
    fresh, stale = Cache[str, int](ttl=60), Cache[str, int](ttl=0)
    metrics.watch_cache("engine", fresh)
    metrics.watch_cache("defaults", stale)

    async def ask() -> int:
        await gate.wait()
        return 1

    async def fail() -> int:
        raise ConnectionError

    async def read_cache(
        cache: Cache[str, int], key: str, source: Callable[[], Awaitable[int]]
    ) -> int:
        return await cache.get(key, source, tolerate=ConnectionError, on_stale=lambda _: None)

    asking = [asyncio.create_task(read_cache(fresh, "a", ask)) for _ in range(2)]
    await asyncio.sleep(0)
    open_questions = read_samples(metrics)['cache_fetches_in_flight{cache="engine"}']
    gate.set()
    await asyncio.gather(*asking, read_cache(stale, "a", ask))
    await read_cache(fresh, "a", ask)
    await read_cache(stale, "a", fail)
    with pytest.raises(ConnectionError):
        await read_cache(stale, "b", fail)

    assert open_questions == 1
    assert count_lookups(metrics, "engine") == {"hit": 1, "miss": 2, "stale": 0, "failed": 0}
    assert count_lookups(metrics, "defaults") == {"hit": 0, "miss": 1, "stale": 1, "failed": 1}


async def test_a_cache_counts_expired_answers_too() -> None:
    metrics, cache = Metrics(), Cache[str, int](ttl=0, limit=3)
    metrics.watch_cache("engine", cache)

    async def ask() -> int:
        return 1

    entries = []
    for key in "aabcd":
        await cache.get(key, ask, tolerate=ConnectionError, on_stale=lambda _: None)
        entries.append(read_samples(metrics)['cache_entries{cache="engine"}'])

    assert entries == [1, 1, 2, 3, 3]


def count_lookups(metrics: Metrics, cache: str) -> Mapping[str, float]:
    values = read_samples(metrics)
    results = ("hit", "miss", "stale", "failed")
    return {
        result: values[f'cache_lookups_total{{cache="{cache}",result="{result}"}}']
        for result in results
    }


def test_the_resolvers_caches_are_shown() -> None:
    metrics = build_tenant_jobs(("mock", MockCompute())).jobs.metrics

    assert count_lookups(metrics, "engine")["hit"] == 0
    assert count_lookups(metrics, "defaults")["hit"] == 0


def test_the_response_has_the_requested_format() -> None:
    plain, plain_type = Metrics().render("*/*")
    newer, newer_type = Metrics().render("application/openmetrics-text; version=1.0.0")

    assert plain_type == "text/plain; version=0.0.4; charset=utf-8"
    assert newer_type.startswith("application/openmetrics-text")
    assert b"# EOF" not in plain
    assert newer.endswith(b"# EOF\n")


def test_the_global_registry_has_no_metric_of_the_worker() -> None:
    Metrics().count_job(Operation.DELETE, "deleted")

    assert b"landlord_worker" not in generate_latest(REGISTRY)


def test_requests_of_compute_engines_are_timed_and_their_failures_counted() -> None:
    metrics = Metrics()
    time_request = metrics.request_timer("docker")

    with time_request("list containers"):
        pass
    with pytest.raises(KeyError), time_request("list containers"):
        raise KeyError
    with pytest.raises(asyncio.CancelledError), time_request("list containers"):
        raise asyncio.CancelledError

    values = read_samples(metrics)
    labels = '{compute_engine="docker",request="list containers"}'
    assert values[f"target_request_duration_seconds_count{labels}"] == 3
    assert values[f"target_request_failures_total{labels}"] == 1


def test_names_of_requests_grow_with_no_tenant() -> None:
    metrics = Metrics()
    own, other = metrics.request_timer("own"), metrics.request_timer("other")

    for number in range(2 * MAX_REQUESTS):
        with own(f"read {number}"):
            pass
    with other("Tenant/1"):
        pass

    values = read_samples(metrics)
    counts = [key for key in values if key.startswith("target_request_failures_total")]
    assert len([key for key in counts if '"own"' in key]) == MAX_REQUESTS + 1
    labels = '{compute_engine="other",request="other"}'
    assert [key for key in counts if '"other",' in key] == [
        f"target_request_failures_total{labels}"
    ]
    assert values[f"target_request_duration_seconds_count{labels}"] == 1


def test_each_call_of_an_engine_is_timed_by_engine_and_method() -> None:
    metrics = Metrics()

    metrics.time_call("worker engine", "restate", "register", 0.25)
    metrics.time_call("worker engine", "restate", "register", 0.5)

    labels = '{engine="restate",kind="worker engine",method="register"}'
    assert read_samples(metrics)[f"engine_call_duration_seconds_count{labels}"] == 2
    assert read_samples(metrics)[f"engine_call_duration_seconds_sum{labels}"] == 0.75
