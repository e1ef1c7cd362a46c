"""Updates whose rollout fails.

moto has no rollouts. Once the engine has requested an update, the tests put a failure, or ECS's own
rollback, into moto's state.
"""

from collections.abc import Callable
from typing import Any

import attrs
import pytest

from landlord_engines_core.compute import ComputeResult, ComputeSpec, ResourceState
from landlord_engines_core.compute.in_flight import pass_by
from landlord_engines_core.errors import ComputeRefused, ComputeUnavailable
from landlord_test_target.aws import (
    Ecs,
    complete_rollout,
    fail_rollout,
    keep_rollout_in_progress,
    roll_back,
)

REASON = "ECS deployment circuit breaker: tasks failed to start."


@attrs.frozen
class UpdateOfService:
    """A tenant with a service, and another configuration for it."""

    ecs: Ecs
    config: dict[str, object]
    before: ComputeSpec
    spec: ComputeSpec

    @property
    def service(self) -> Any:
        return self.ecs.aws.service(self.config)

    async def run(self, happens: Callable[[Any], None], *, within: float = 5.0) -> ComputeResult:
        """Update, and change the service once the engine has requested the update."""

        def reached(point: str) -> None:
            if point == "update:sent":
                happens(self.service)

        return await self.ecs.with_failpoint_action(reached, rollout_timeout=within).engine.update(
            self.spec
        )


@pytest.fixture
async def update(ecs: Ecs) -> UpdateOfService:
    config = ecs.aws.config(subnets=ecs.aws.subnets()[:1], desired_count=1)
    changes = {
        "task_definition_arn": ecs.aws.task_definition(),
        "subnets": ecs.aws.subnets()[1:],
        "desired_count": 2,
    }
    before = ecs.spec(config)
    await ecs.engine.provision(before)
    return UpdateOfService(ecs, config, before, ecs.spec(config | changes))


async def test_a_failed_rollout_is_rolled_back_and_reported_with_the_reason_of_ecs(
    update: UpdateOfService,
) -> None:
    result = await update.run(lambda service: fail_rollout(service, REASON))

    assert result.rolled_back == REASON
    assert update.ecs.reached_points[-1] == "update:rolled-back"
    assert update.service.task_definition == update.config["task_definition_arn"]
    network = update.service.network_configuration["awsvpcConfiguration"]
    assert network["subnets"] == update.config["subnets"]
    assert update.service.desired_count == 1


async def test_after_a_rollback_the_previous_configuration_is_active(
    update: UpdateOfService,
) -> None:
    await update.run(lambda service: fail_rollout(service, REASON))
    update.service.deployments[0]["rolloutState"] = "COMPLETED"

    observation = await update.ecs.engine.inspect("one", update.before.location)

    assert (observation.state, observation.config_hash) == (
        ResourceState.HEALTHY,
        update.before.config_hash,
    )


async def test_a_rollback_by_ecs_itself_is_detected(update: UpdateOfService) -> None:
    former = str(update.config["task_definition_arn"])

    result = await update.run(lambda service: roll_back(service, former, REASON))

    assert result.rolled_back == REASON
    assert "update:rolled-back" not in update.ecs.reached_points


async def test_a_rollback_by_ecs_is_detected_while_the_service_still_names_the_failed_revision(
    update: UpdateOfService,
) -> None:
    def roll_back_service(service: Any) -> None:
        roll_back(service, service.task_definition, REASON)

    result = await update.run(roll_back_service)

    assert result.rolled_back == REASON


@pytest.mark.parametrize("forgotten", [False, True])
async def test_a_rollback_by_ecs_between_two_attempts_is_detected(
    update: UpdateOfService,
    *,
    forgotten: bool,
) -> None:
    former = str(update.config["task_definition_arn"])
    with pytest.raises(ComputeUnavailable, match="the rollout continues"):
        await update.run(keep_rollout_in_progress, within=0.1)
    roll_back(update.service, former, REASON)
    update.service.network_configuration["awsvpcConfiguration"]["subnets"] = update.config[
        "subnets"
    ]
    if forgotten:
        # ECS removes failed deployments after some time.
        update.service.deployments.pop()
    calls = await update.ecs.record_calls(update.spec.location)

    result = await update.run(pass_by_service)

    assert result.rolled_back == ("ECS rolled back to the previous state" if forgotten else REASON)
    assert set(calls) == {"DescribeServices", "UntagResource"}


async def test_a_rollback_to_another_revision_of_one_family_is_detected_between_attempts(
    ecs: Ecs,
) -> None:
    before = ecs.spec(ecs.aws.config())
    await ecs.engine.provision(before)
    former = str(before.config["task_definition_arn"])
    name = former.rpartition(":")[0]
    newest = ecs.aws.task_definition(family=name.rpartition("/")[2])
    update = UpdateOfService(
        ecs, dict(before.config), before, ecs.spec({**before.config, "task_definition_arn": name})
    )

    def resolve_revision(service: Any) -> None:
        service.task_definition = newest
        keep_rollout_in_progress(service)

    with pytest.raises(ComputeUnavailable, match="the rollout continues"):
        await update.run(resolve_revision, within=0.1)
    roll_back(update.service, former, REASON)
    result = await update.run(pass_by_service)

    assert result.rolled_back == REASON


async def test_a_later_job_retries_a_configuration_that_was_rolled_back(
    update: UpdateOfService,
) -> None:
    rolled = await update.run(lambda service: fail_rollout(service, REASON))
    complete_rollout(update.service)

    again = await update.run(complete_rollout)

    assert [result.rolled_back for result in (rolled, again)] == [REASON, ""]
    assert update.service.task_definition == update.spec.config["task_definition_arn"]
    assert "landlord.attempt" not in update.ecs.aws.tags(update.service)


async def test_a_service_that_keeps_showing_the_former_state_was_rolled_back(
    update: UpdateOfService,
) -> None:
    former = str(update.config["task_definition_arn"])

    def restore_revision(service: Any) -> None:
        service.task_definition = former

    result = await update.run(restore_revision, within=0.1)

    assert result.rolled_back == "ECS rolled back to the previous state"


async def test_a_failure_of_an_earlier_rollout_is_not_attributed_to_this_one(
    update: UpdateOfService,
) -> None:
    former = str(update.config["task_definition_arn"])
    update.service.task_definition = update.spec.config["task_definition_arn"]
    roll_back(update.service, former, "an old reason")

    result = await update.run(complete_rollout)

    assert not result.rolled_back
    assert update.service.task_definition == update.spec.config["task_definition_arn"]


async def test_a_first_rollout_that_fails_is_reported_and_an_update_repairs_it(
    update: UpdateOfService,
) -> None:
    fail_rollout(update.service, REASON)

    observation = await update.ecs.engine.inspect("one", update.before.location)
    result = await update.run(
        lambda service: service.deployments[0].update(rolloutState="COMPLETED")
    )

    assert (observation.state, observation.detail) == (ResourceState.FAILED, REASON)
    assert not result.rolled_back
    assert update.service.task_definition == update.spec.config["task_definition_arn"]


async def test_a_failed_rollout_without_a_previous_version_is_refused_with_the_reason(
    update: UpdateOfService,
) -> None:
    fail_rollout(update.service, REASON)

    with pytest.raises(
        ComputeRefused, match="no previous one to return to: ECS deployment circuit"
    ):
        await update.run(pass_by_service, within=0.1)


async def test_the_same_configuration_is_rolled_out_again_after_a_failure(
    update: UpdateOfService,
) -> None:
    fail_rollout(update.service, REASON)
    failed = update.service.deployments[0]["id"]
    again = attrs.evolve(update, spec=update.before)

    await again.run(lambda service: service.deployments[0].update(rolloutState="COMPLETED"))

    assert update.service.deployments[0]["id"] != failed


@pytest.mark.parametrize("status", ["DRAINING", "INACTIVE"])
async def test_a_service_deleted_during_its_update_is_inspected_again(
    update: UpdateOfService, status: str
) -> None:
    def deleted(service: Any) -> None:
        service.status = status

    with pytest.raises(ComputeUnavailable, match="was deleted while it was updated"):
        await update.run(deleted)


def pass_by_service(_: Any) -> None:
    pass_by("")
