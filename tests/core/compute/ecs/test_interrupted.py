"""After an interruption anywhere, the next attempt converges to one service in the desired state."""

import asyncio
import signal
from functools import partial
from pathlib import Path
from typing import Any

import pytest
from botocore.exceptions import ReadTimeoutError

from landlord_engines_core.compute import ComputeRegistry, ComputeSpec, ResourceState
from landlord_engines_core.compute.ecs.location import Location
from landlord_engines_core.compute.in_flight import pass_by
from landlord_engines_core.errors import ComputeUnavailable
from landlord_engines_core.models import Placement
from landlord_engines_core.tenants.converge import Converger
from landlord_test_target import ecs_driver
from landlord_test_target.aws import Ecs
from landlord_test_target.forks import fork_call

CREATE = ("create:sent", "tags:written")
UPDATE = ("update:noted", "update:sent", "update:steady", "tags:removed", "tags:written")
CALLS = ("CreateService", "DescribeServices", "TagResource", "UntagResource", "UpdateService")


class Interrupted(Exception):
    """The operation is interrupted at this failpoint."""


def converger(ecs: Ecs) -> Converger:
    registry = ComputeRegistry({"ecs": ecs.engine})
    return Converger(registry=registry, health_timeout=10)


def two_configs(ecs: Ecs) -> tuple[dict[str, object], dict[str, object]]:
    config = ecs.aws.config(tags={"a": "1", "b": "2"})
    return config, config | {"task_definition_arn": ecs.aws.task_definition(), "tags": {"b": "3"}}


async def check_convergence(ecs: Ecs, spec: ComputeSpec) -> None:
    """Check that the next attempt completes the operation, and one more attempt changes nothing."""
    await converger(ecs).apply("ecs", spec)

    repeated = await converger(ecs).apply("ecs", spec)
    observation = await converger(ecs).wait_healthy("one", Placement("ecs", spec.location))
    service = ecs.aws.service(spec.config)
    tags = ecs.aws.tags(service)
    assert repeated.outcome == "unchanged"
    assert (observation.state, observation.config_hash) == (ResourceState.HEALTHY, spec.config_hash)
    assert service.task_definition == spec.config["task_definition_arn"]
    assert {key: tags[key] for key in "ab" if key in tags} == spec.config["tags"]


def stop(kind: str) -> None:
    if kind == "raised":
        raise Interrupted
    task = asyncio.current_task()
    assert task is not None
    task.cancel()


@pytest.mark.parametrize("kind", ["raised", "cancelled"])
@pytest.mark.parametrize(
    "point", [*(f"1 {point}" for point in CREATE), *(f"2 {point}" for point in UPDATE)]
)
async def test_an_operation_interrupted_at_any_failpoint_converges_when_repeated(
    ecs: Ecs, point: str, kind: str
) -> None:
    before, after = two_configs(ecs)
    act, _, name = point.partition(" ")
    if act == "2":
        await ecs.engine.provision(ecs.spec(before))
    spec = ecs.spec(before if act == "1" else after)

    def reached(point: str) -> None:
        if point == name:
            stop(kind)

    outcome = await asyncio.gather(
        asyncio.ensure_future(ecs.with_failpoint_action(reached).engine.update(spec)),
        return_exceptions=True,
    )

    assert name in ecs.reached_points
    # Nothing is awaited after the last failpoint, so a cancellation there has no effect.
    if name != "tags:written" or kind == "raised":
        assert isinstance(outcome[0], Interrupted | asyncio.CancelledError)
    await check_convergence(ecs, spec)


async def test_a_delete_interrupted_halfway_is_completed_when_repeated(ecs: Ecs) -> None:
    spec = ecs.spec(ecs.aws.config())
    await ecs.engine.provision(spec)

    with pytest.raises(Interrupted):
        await ecs.with_failpoint_action(lambda _: stop("raised")).engine.destroy(
            "one", spec.location
        )

    assert not await ecs.engine.destroy("one", spec.location)
    await converger(ecs).wait_removed("one", [Placement("ecs", spec.location)])


@pytest.mark.parametrize("when", ["before-send", "after-call"])
@pytest.mark.parametrize("call", CALLS)
async def test_an_operation_recovers_from_a_call_lost_before_or_after_its_effect(
    ecs: Ecs, call: str, when: str
) -> None:
    before, after = two_configs(ecs)
    if call != "CreateService":
        await ecs.engine.provision(ecs.spec(before))
    spec = ecs.spec(before if call == "CreateService" else after)

    def lose_call(**_: Any) -> None:
        client.meta.events.unregister(f"{when}.ecs.{call}", lose_call)
        raise ReadTimeoutError(endpoint_url="")

    async with ecs.engine.clients.ecs(Location.parse(spec.location)) as client:
        client.meta.events.register(f"{when}.ecs.{call}", lose_call)
    with pytest.raises(ComputeUnavailable, match="ReadTimeoutError"):
        await ecs.engine.update(spec)

    await check_convergence(ecs, spec)


@pytest.mark.parametrize("point", [*CREATE, *UPDATE[:4], "destroy:sent"])
async def test_the_next_process_completes_an_operation_of_a_process_killed_at_a_failpoint(
    ecs: Ecs, point: str, tmp_path: Path
) -> None:
    before, after = two_configs(ecs)
    if point not in CREATE:
        await ecs.engine.provision(ecs.spec(before))
    spec = ecs.spec(before if point in CREATE else after)
    act = "destroy" if point == "destroy:sent" else "provision"

    arguments = (ecs.aws.endpoint, act, "one", spec.config, point)
    code = await fork_call(partial(ecs_driver.run, *arguments), tmp_path / "output").wait()

    assert code == -signal.SIGKILL
    await check_convergence(ecs.with_failpoint_action(pass_by), spec)
