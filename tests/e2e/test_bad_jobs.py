"""An invalid job fails at once with its fault; a refused configuration holds the job."""

import asyncio
from collections.abc import Mapping
from itertools import pairwise

import psutil
import pytest

from landlord_test_target.harness import Harness


@pytest.mark.parametrize(
    ("body", "named"),
    [
        (b"{nope", "$ is not a JSON object, at character 1"),
        (b"[]", "$ is not a JSON object, at character 0"),
        (b"{}", "$.tenant_uuid and $.tenant_id"),
        (b'{"tenant_uuid": "t", "operation": "frobnicate"}', "$.operation"),
        (b'{"tenant_uuid": 5}', "$.tenant_uuid must be a string"),
        (b'{"tenant_uuid": "t", "operation": 5}', "$.operation must be a string"),
    ],
)
async def test_an_invalid_body_ends_with_400_and_names_the_field(
    harness: Harness, body: bytes, named: str
) -> None:
    await harness.worker()
    url = f"{harness.restate.endpoint}/{harness.service}/execute"

    headers = {"content-type": "application/json"}
    async with harness.http.post(url, data=body, headers=headers) as response:
        answer = await response.json()

    assert response.status == 400
    assert named in answer["message"]


@pytest.mark.parametrize(
    ("config", "named"),
    [
        (b'{"k":' * 1000 + b"1" + b"}" * 1000, "$.desired_config is nested more than"),
        (b"[" * 100_000 + b"]" * 100_000, "$.desired_config is nested more than"),
        (b'{"k": "' + b"x" * 12_000_000 + b'"}', "$.desired_config has 12000009 characters"),
        (b'{"k": 1e999}', "$.desired_config contains NaN, Infinity or a number"),
        (b'"x"', "$.desired_config must be an object"),
    ],
    ids=["deep", "deepest", "a long text", "a large number", "no object"],
)
async def test_a_configuration_that_cannot_be_read_holds_all_but_a_delete(
    harness: Harness, config: bytes, named: str
) -> None:
    worker = await harness.worker()
    tenant = harness.tenant()
    assert worker.process is not None
    process = psutil.Process(worker.process.pid)
    assert await harness.run(tenant, "provision", version=1) == "created"
    memory = process.memory_info().rss

    def build_body(operation: str) -> bytes:
        fields = f'{{"tenant_uuid": "{tenant}", "operation": "{operation}", "desired_config": '
        return fields.encode() + config + b"}"

    async with asyncio.TaskGroup() as group:
        jobs = [
            group.create_task(harness.dispatcher.dispatch(build_body(operation)))
            for operation in ("update", "provision", "plan")
        ]
    for job in jobs:
        await harness.wait_held(job.result(), named)
        await harness.dispatcher.kill(job.result())
    assert (await harness.target.document(tenant))["version"] == 1
    deleted = await harness.wait_done(await harness.dispatcher.dispatch(build_body("delete")))

    assert deleted["output"]["status"] == "deleted"
    assert await harness.target.resources(tenant) == []
    assert await harness.wait_outcomes(tenant, 2) == ["created", "deleted"]
    assert process.memory_info().rss - memory < 300 * 1024 * 1024


@pytest.mark.parametrize(
    ("provider", "config", "named"),
    [
        ("nomad", {}, "'nomad' is not configured"),
        ("target", {"version": "three"}, "$.version breaks the rule 'type' integer"),
        ("target", {"version": 13}, "$.version must not be 13"),
        ("target", {"env": {"A": "x" * 300_000}}, "the limit is 262144"),
    ],
)
async def test_a_permanent_failure_is_held_until_the_config_changes(
    harness: Harness, provider: str, config: Mapping[str, object], named: str
) -> None:
    await harness.worker()
    tenant = harness.tenant()

    held = await harness.send(tenant, "provision", provider, **config)
    await harness.wait_held(held, named)
    assert await harness.history(tenant) == []
    await harness.dispatcher.kill(held)

    assert await harness.run(tenant, "provision", "target", version=1) == "created"


@pytest.mark.parametrize(
    "config", [{"version": "three"}, {"version": 13}, {"env": {"A": "x" * 300_000}}]
)
async def test_a_tenant_with_a_refused_config_can_be_deleted(
    harness: Harness, config: Mapping[str, object]
) -> None:
    await harness.worker()
    tenant = harness.tenant()
    held = await harness.send(tenant, "provision", "nomad", **config)
    await harness.wait_held(held, "not configured")
    await harness.dispatcher.kill(held)

    assert await harness.run(tenant, "delete", "nomad", **config) == "absent"


async def test_a_target_that_refuses_holds_the_job_with_its_reason(harness: Harness) -> None:
    await harness.worker(hold_retry_interval="200ms")
    tenant = harness.tenant()
    await harness.target.set_fault(tenant, "create", refuse=2)

    held = await harness.send(tenant, "provision", version=1)

    await harness.wait_held(held, "the target refuses this")
    assert (await harness.wait_done(held))["output"]["status"] == "created"


async def test_a_permanent_failure_ends_the_job_if_the_settings_say_so(harness: Harness) -> None:
    await harness.worker(on_permanent_failure="fail")

    failed = await harness.send(harness.tenant(), "provision", "nomad")

    row = await harness.wait_status(failed, "completed")
    assert row["completion_result"] == "failure"
    assert "[422]" in row["completion_failure"]


async def test_a_request_to_a_failing_target_is_retried_with_growing_pauses(
    harness: Harness,
) -> None:
    await harness.worker()
    tenant = harness.tenant()
    await harness.target.set_fault(tenant, "create", fail=3)

    assert await harness.run(tenant, "provision", version=1) == "created"

    times = [row["at"] for row in await harness.target.ledger(tenant, "create")]
    pauses = [later - sooner for sooner, later in pairwise(times)]
    assert len(pauses) == 3
    assert pauses == sorted(pauses)


async def test_no_failure_message_contains_a_value_or_a_path(harness: Harness) -> None:
    worker = await harness.worker()
    tenant = harness.tenant()
    held = await harness.send(
        tenant, "provision", env={"A": "canary-7f3a", "B": 5}, version="canary"
    )

    row = await harness.wait_held(held, "breaks the rule")

    assert "canary" not in row["last_failure"]
    assert "/" not in row["last_failure"].replace("https://", "")
    assert "canary" not in worker.log_text()
