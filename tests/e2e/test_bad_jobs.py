"""What is wrong with a job is said at once, or holds it until its configuration changes."""

from collections.abc import Mapping
from itertools import pairwise

import pytest

from landlord_test_target.harness import World


@pytest.mark.parametrize(
    ("body", "named"),
    [
        (b"{nope", "$ is not JSON"),
        (b"[]", "$"),
        (b"{}", "$.tenant_uuid and $.tenant_id"),
        (b'{"tenant_uuid": "t", "operation": "frobnicate"}', "$.operation"),
        (b'{"tenant_uuid": 5}', "$.tenant_uuid must be a string"),
        (b'{"tenant_uuid": "t", "desired_config": "x"}', "$.desired_config must be an object"),
        (b'{"tenant_uuid": "t", "metadata": {"a": 1}}', "$.metadata"),
    ],
)
async def test_a_body_that_is_not_understood_ends_with_400_naming_the_field(
    world: World, body: bytes, named: str
) -> None:
    await world.worker()
    url = f"{world.restate.endpoint}/{world.service}/execute"

    headers = {"content-type": "application/json"}
    async with world.http.post(url, data=body, headers=headers) as response:
        answer = await response.json()

    assert response.status == 400
    assert named in answer["message"]


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
    world: World, provider: str, config: Mapping[str, object], named: str
) -> None:
    await world.worker()
    tenant = world.tenant()

    held = await world.send(tenant, "provision", provider, **config)
    await world.held(held, named)
    assert await world.history(tenant) == []
    await world.dispatcher.kill(held)

    assert await world.run(tenant, "provision", "target", version=1) == "created"


@pytest.mark.parametrize(
    "config", [{"version": "three"}, {"version": 13}, {"env": {"A": "x" * 300_000}}]
)
async def test_a_tenant_with_a_refused_config_can_be_deleted(
    world: World, config: Mapping[str, object]
) -> None:
    await world.worker()
    tenant = world.tenant()
    held = await world.send(tenant, "provision", "nomad", **config)
    await world.held(held, "not configured")
    await world.dispatcher.kill(held)

    assert await world.run(tenant, "delete", "nomad", **config) == "absent"


async def test_a_target_that_refuses_holds_the_job_with_its_reason(world: World) -> None:
    await world.worker(hold_interval="200ms")
    tenant = world.tenant()
    await world.target.fault(tenant, "create", refuse=2)

    held = await world.send(tenant, "provision", version=1)

    await world.held(held, "the target refuses this")
    assert (await world.done(held))["output"]["status"] == "created"


async def test_a_permanent_failure_ends_the_job_where_the_operator_wants_it(world: World) -> None:
    await world.worker(on_permanent_failure="fail")

    failed = await world.send(world.tenant(), "provision", "nomad")

    row = await world.has_status(failed, "completed")
    assert row["completion_result"] == "failure"
    assert "[422]" in row["completion_failure"]


async def test_a_target_in_trouble_is_tried_again_with_growing_pauses(world: World) -> None:
    await world.worker()
    tenant = world.tenant()
    await world.target.fault(tenant, "create", fail=3)

    assert await world.run(tenant, "provision", version=1) == "created"

    times = [row["at"] for row in await world.target.ledger(tenant, "create")]
    pauses = [later - sooner for sooner, later in pairwise(times)]
    assert len(pauses) == 3
    assert pauses == sorted(pauses)


async def test_no_message_of_a_failure_holds_a_value_or_a_path(world: World) -> None:
    worker = await world.worker()
    tenant = world.tenant()
    held = await world.send(tenant, "provision", env={"A": "canary-7f3a", "B": 5}, version="canary")

    row = await world.held(held, "breaks the rule")

    assert "canary" not in row["last_failure"]
    assert "/" not in row["last_failure"].replace("https://", "")
    assert "canary" not in worker.text()
