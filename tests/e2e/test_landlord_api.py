"""Landlord's API names the compute engine; a job waits while the API is slow, down or sends garbage."""

import asyncio
import json
import re
import threading
from collections.abc import Iterator

import pytest
from pytest_httpserver import HTTPServer
from werkzeug import Request, Response

from landlord_test_target.harness import Harness


class Landlord:
    """A simulation of Landlord's tenant API that counts reads of resolve and confirm separately."""

    def __init__(self, server: HTTPServer) -> None:
        self.url = server.url_for("/")
        self.tenants: dict[str, dict[str, object]] = {}
        self.resolving: list[str] = []
        self.confirming: list[str] = []
        self.failure: Response | None = None
        self.may_answer = threading.Event()
        self.may_answer.set()
        server.expect_request("/v1/compute/config").respond_with_json(
            {"error": "Compute provider not available"}, status=400
        )
        server.expect_request(re.compile(r"/v1/tenants/.+")).respond_with_handler(self._tenant)

    def set_tenant(self, tenant: str, engine: str = "", **config: object) -> None:
        labels = {"compute_provider": engine} if engine else {}
        self.tenants[tenant] = {
            "id": tenant,
            "status": "provisioning",
            "desired_config": config,
            "labels": labels,
        }

    def _tenant(self, request: Request) -> Response:
        tenant = request.path.rsplit("/", 1)[1]
        confirming = request.headers.get("Cache-Control") == "no-cache"
        (self.confirming if confirming else self.resolving).append(tenant)
        self.may_answer.wait()
        if self.failure is not None:
            return self.failure
        if tenant not in self.tenants:
            return _json({"error": "Tenant not found"}, 404)
        return _json(self.tenants[tenant], 200)


def _json(document: object, status: int) -> Response:
    return Response(json.dumps(document), status, content_type="application/json")


@pytest.fixture
def landlord() -> Iterator[Landlord]:
    with HTTPServer() as server:
        yield Landlord(server)


FAILURES = {
    "500": Response("oh", 500),
    "garbage": Response("<html>", 200),
    "a proxy's 404": Response("not found", 404),
    "another document": Response("{}", 200, content_type="application/json"),
}


@pytest.mark.parametrize("failure", FAILURES)
async def test_without_an_answer_the_job_waits_and_ends_when_the_api_returns(
    harness: Harness, landlord: Landlord, failure: str
) -> None:
    await harness.worker(api=landlord.url)
    tenant = harness.tenant()
    landlord.set_tenant(tenant, "target2", version=1)
    landlord.failure = FAILURES[failure]

    job = await harness.send(tenant, "provision", version=1)
    await harness.wait_held(job, "Landlord's API")
    assert await harness.target.resources(tenant) == []
    landlord.failure = None

    assert (await harness.wait_done(job))["output"]["provider_type"] == "target2"


async def test_a_job_waits_for_a_slow_api(harness: Harness) -> None:
    with HTTPServer(threaded=True) as server:
        landlord = Landlord(server)
        await harness.worker(api=landlord.url)
        tenant = harness.tenant()
        landlord.set_tenant(tenant, "target2", version=1)
        landlord.may_answer.clear()

        job = await harness.send(tenant, "provision", version=1)
        await harness.wait_held(job, "no answer in time")
        assert await harness.target.resources(tenant) == []
        landlord.may_answer.set()

        assert (await harness.wait_done(job))["output"]["provider_type"] == "target2"


async def test_an_api_that_is_down_holds_a_job_and_never_makes_it_take_a_default(
    harness: Harness,
) -> None:
    await harness.worker(api="http://127.0.0.1:9/")
    tenant = harness.tenant()

    job = await harness.send(tenant, "provision", version=1)

    await harness.wait_held(job, "cannot be read")
    assert await harness.target.resources(tenant) == []


async def test_a_cached_answer_is_used_while_the_api_is_down(
    harness: Harness, landlord: Landlord
) -> None:
    await harness.worker(api=landlord.url, compute_cache_ttl="1ms")
    tenant = harness.tenant()
    landlord.set_tenant(tenant, "target2", version=1)
    await harness.run(tenant, "provision", version=1)
    landlord.failure = FAILURES["500"]

    answer = await harness.wait_done(await harness.send(tenant, "provision", version=1))

    assert answer["output"]["provider_type"] == "target2"
    assert answer["output"]["status"] == "unchanged"


async def test_a_cached_answer_is_refreshed_after_its_time(
    harness: Harness, landlord: Landlord
) -> None:
    await harness.worker(api=landlord.url, compute_cache_ttl="1ms")
    tenant = harness.tenant()
    landlord.set_tenant(tenant, "target", version=1)
    await harness.run(tenant, "provision", version=1)
    landlord.set_tenant(tenant, "target2", version=1)

    answer = await harness.wait_done(await harness.send(tenant, "update", version=1))

    assert answer["output"]["provider_type"] == "target2"
    assert len(landlord.resolving) == 2


async def test_a_cached_answer_serves_only_the_config_it_was_read_for(
    harness: Harness, landlord: Landlord
) -> None:
    await harness.worker(api=landlord.url)
    tenant = harness.tenant()
    landlord.set_tenant(tenant, "target", version=1)
    await harness.run(tenant, "provision", version=1)
    landlord.set_tenant(tenant, "target2", version=2)

    answer = await harness.wait_done(await harness.send(tenant, "update", version=2))

    assert answer["output"]["provider_type"] == "target2"


async def test_the_override_beats_job_and_api(harness: Harness, landlord: Landlord) -> None:
    await harness.worker(api=landlord.url, force_compute_provider="target2")
    tenant = harness.tenant()
    landlord.set_tenant(tenant, "target", version=1)

    answer = await harness.wait_done(await harness.send(tenant, "provision", "target", version=1))

    assert answer["output"]["provider_type"] == "target2"
    assert landlord.resolving == []


async def test_fifty_jobs_at_once_resolve_with_one_request_to_the_api(
    harness: Harness, landlord: Landlord
) -> None:
    await harness.worker(api=landlord.url)
    tenant = harness.tenant()
    landlord.set_tenant(tenant, "target", version=1)

    jobs = await asyncio.gather(*(harness.send(tenant, "provision", version=1) for _ in range(50)))
    for job in jobs:
        await harness.wait_status(job, "completed")

    assert landlord.resolving == [tenant]
    started = await harness.history(tenant)
    assert 1 <= len(landlord.confirming) <= len(started)
    assert len(await harness.target.resources(tenant)) == 1


async def test_an_update_sent_to_landlord_during_the_job_is_applied(
    harness: Harness, landlord: Landlord
) -> None:
    await harness.worker(api=landlord.url)
    tenant = harness.tenant()
    landlord.set_tenant(tenant, version=1)
    await harness.target.set_fault(tenant, "create", delay_before=1)

    job = await harness.send(tenant, "provision", version=1)
    await harness.target.wait_called(tenant, "create")
    landlord.set_tenant(tenant, version=2)

    answer = await harness.wait_done(job)
    assert answer["output"]["message"] == "a newer configuration was applied"
    assert (await harness.target.document(tenant))["version"] == 2


async def test_the_record_names_the_engine_if_neither_job_nor_landlord_does(
    harness: Harness, landlord: Landlord
) -> None:
    await harness.worker(api=landlord.url)
    tenant = harness.tenant()
    landlord.set_tenant(tenant, version=1)
    await harness.run(tenant, "provision", "target2", version=1)
    landlord.set_tenant(tenant, version=2)

    answer = await harness.wait_done(await harness.send(tenant, "update", version=2))

    assert answer["output"]["provider_type"] == "target2"


async def test_a_job_that_waits_for_the_api_ends_once_a_younger_one_has_the_lock(
    harness: Harness, landlord: Landlord
) -> None:
    await harness.worker(api=landlord.url)
    tenant = harness.tenant()
    landlord.failure = FAILURES["500"]
    waiting = await harness.send(tenant, "provision", version=1)
    await harness.wait_held(waiting, "Landlord's API")

    younger = await harness.send(tenant, "provision", "target2", version=2)

    # The API is still down, so only the record tells the older job that it is superseded.
    assert (await harness.wait_done(waiting))["state"] == "cancelled"
    landlord.failure = None
    assert (await harness.wait_done(younger))["state"] == "succeeded"
    assert (await harness.target.document(tenant))["version"] == 2
