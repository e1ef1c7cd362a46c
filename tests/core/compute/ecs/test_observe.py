import pytest

from landlord_engines_core.compute.ecs.config import EcsConfig
from landlord_engines_core.compute.ecs.observe import is_rolled_out


@pytest.mark.parametrize("subnets", [("s-1", "s-2"), ("s-2", "s-1"), ("s-1", "s-2", "s-1")])
@pytest.mark.parametrize("groups", [(), ("g-1", "g-2"), ("g-2", "g-1", "g-2")])
def test_networks_are_compared_without_order_and_repetitions(
    subnets: tuple[str, ...], groups: tuple[str, ...]
) -> None:
    config = EcsConfig(task_definition_arn="app:1", subnets=subnets, security_groups=groups)
    actual = {"subnets": ["s-2", "s-1"], "securityGroups": ["g-1", "g-2"]}

    assert is_rolled_out(
        config,
        {
            "taskDefinition": "arn:aws:ecs:eu-west-1:1:task-definition/app:1",
            "networkConfiguration": {
                "awsvpcConfiguration": {**actual, "assignPublicIp": "DISABLED"},  # type: ignore[typeddict-item]
            },
        },
    )
