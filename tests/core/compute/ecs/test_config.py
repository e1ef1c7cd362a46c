from collections.abc import Mapping

import pytest

from landlord_engines_core.compute import ComputeRegistry
from landlord_engines_core.compute.ecs.config import MAX_TAGS
from landlord_engines_core.errors import ComputeRefused, SettingsError
from landlord_test_target.compute_engines import ecs_engine

ARN = "arn:aws:ecs:eu-west-1:123456789012:cluster/one"
MINIMAL: dict[str, object] = {
    "cluster_arn": ARN,
    "task_definition_arn": "web:1",
    "service_name_prefix": "t-",
}
ROLE = "arn:aws:iam::123456789012:role/tenants"
SECRET = "hunter2"


def check(config: Mapping[str, object], **settings: object) -> None:
    registry = ComputeRegistry({"ecs": ecs_engine(settings)})
    registry.check("ecs", config)


@pytest.mark.parametrize(
    "config",
    [
        MINIMAL,
        {"cluster_arn": ARN, "task_definition_arn": "web", "service_name": "acme"},
        MINIMAL | {"cluster_arn": "launch_type", "region": "eu-west-1"},
        MINIMAL | {"cluster_arn": "launch_type", "task_definition_arn": ARN},
        MINIMAL | {"desired_count": 0},
        *(
            MINIMAL | {"launch_type": launch_type}
            for launch_type in ("EC2", "ec2", "FARGATE", "fargate", "external")
        ),
        MINIMAL | {"subnets": ["a"], "security_groups": ["b"], "assign_public_ip": False},
        MINIMAL | {"tags": {"a": "b"}, "image": "of another engine", "nested": {"x": [1]}},
        MINIMAL | {"assume_role": {"role_arn": ROLE, "session_name": "acme"}},
    ],
)
def test_each_configuration_that_landlord_accepts_is_accepted(config: Mapping[str, object]) -> None:
    check(config)


@pytest.mark.parametrize(
    ("changes", "path"),
    [
        ({"cluster_arn": 1}, r"\$\.cluster_arn"),
        ({"desired_count": -1}, r"\$\.desired_count"),
        ({"desired_count": SECRET}, r"\$\.desired_count"),
        ({"launch_type": SECRET}, r"\$\.launch_type"),
        ({"subnets": SECRET}, r"\$\.subnets"),
        ({"tags": {"a": 1}}, r"\$\.tags\.a"),
        ({"tags": {str(number): SECRET for number in range(MAX_TAGS + 1)}}, r"\$\.tags has more"),
        ({"assume_role": {}}, r"\$\.assume_role"),
        ({"assume_role": {"role_arn": ROLE, "password": "x"}}, r"\$\.assume_role"),
        ({"assume_role": {"role_arn": ROLE, "external_id": SECRET}}, r"assume_role\.external_id"),
        ({"service_name": f"a/{SECRET}"}, r"\$\.service_name may"),
        ({"service_name_prefix": f"../{SECRET}"}, r"\$\.service_name_prefix may"),
        ({"region": f"eu/{SECRET}"}, r"\$\.region"),
        ({"cluster_arn": SECRET}, "a region"),
        ({"cluster_arn": f"arn:aws:ecs:@{SECRET}:1:cluster/x"}, "a region"),
        ({"cluster_arn": ""}, "a cluster .* nor a region"),
        ({"service_name_prefix": ""}, "a service"),
    ],
)
def test_an_error_names_the_path_of_the_key_and_never_its_value(
    changes: Mapping[str, object], path: str
) -> None:
    with pytest.raises(ComputeRefused, match=path) as refused:
        check({**MINIMAL, **changes})

    assert SECRET not in f"{refused.value} {refused.value.hint}"


@pytest.mark.parametrize("missing", list(MINIMAL))
def test_cluster_task_definition_and_a_name_are_required(missing: str) -> None:
    with pytest.raises(ComputeRefused):
        check({key: value for key, value in MINIMAL.items() if key != missing})


def test_one_service_for_all_tenants_is_refused_at_start() -> None:
    with pytest.raises(
        ComputeRefused, match=r"share one service; set compute\.ecs\.service_name_prefix"
    ):
        ecs_engine({"service_name": "acme"})


@pytest.mark.parametrize(
    ("settings", "path"),
    [
        ({"endpoint_url": 3}, r"compute\.ecs\.endpoint_url must be an http"),
        ({"rollout_timeout": SECRET}, r"compute\.ecs\.rollout_timeout must be a duration"),
        ({"external_ids": [SECRET]}, r"compute\.ecs\.external_ids must be a map"),
        ({"desired_count": SECRET}, r"\$\.desired_count"),
        ({"service_name_prefix": "a b"}, r"\$\.service_name_prefix"),
    ],
)
def test_settings_of_a_wrong_kind_are_refused_at_start(
    settings: Mapping[str, object], path: str
) -> None:
    with pytest.raises((ComputeRefused, SettingsError), match=path) as refused:
        ecs_engine(settings)

    assert SECRET not in str(refused.value)


def test_the_operators_own_keys_are_no_defaults_for_tenants() -> None:
    defaults = {**MINIMAL, "assume_role": {"role_arn": ROLE}}
    engine = ecs_engine({"endpoint_url": "http://localhost", "rollout_timeout": 9, **defaults})

    assert engine.config_defaults() == defaults
    assert float(engine.settings.rollout_timeout) == 9


def test_an_external_id_stays_with_its_role() -> None:
    role = {"role_arn": ROLE, "external_id": SECRET}
    engine = ecs_engine({"assume_role": role | {"session_name": "acme"}})

    assert engine.config_defaults() == {
        "assume_role": {"role_arn": ROLE, "session_name": "acme"},
    }
    assert engine.settings.external_ids == {ROLE: SECRET}
    assert SECRET not in repr(engine)


@pytest.mark.parametrize(
    "settings",
    [
        {"assume_role": {"role_arn": ROLE, "external_id": SECRET}},
        {"external_ids": {ROLE: SECRET}},
    ],
)
def test_an_external_id_of_a_tenant_must_equal_that_of_the_settings(
    settings: Mapping[str, object],
) -> None:
    engine = ecs_engine(settings)
    role = {"role_arn": ROLE, "external_id": SECRET}

    engine.validate(MINIMAL | {"assume_role": role})
    with pytest.raises(ComputeRefused, match="external_id"):
        engine.validate(MINIMAL | {"assume_role": role | {"external_id": "other"}})

    assert SECRET not in engine.location(MINIMAL | {"assume_role": role})
