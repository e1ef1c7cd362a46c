import asyncio

import pytest

from landlord_engines_core.compute import ComputeSpec, Observation, ResourceState
from landlord_engines_core.compute.in_flight import pass_by
from landlord_engines_core.errors import ComputeRefused, ComputeUnavailable
from landlord_test_target.aws import Ecs, complete_rollout, keep_rollout_in_progress


async def inspect(ecs: Ecs, spec: ComputeSpec) -> Observation:
    return await ecs.engine.inspect(spec.tenant, spec.location)


async def test_a_tenant_becomes_a_service_with_landlords_tags(ecs: Ecs) -> None:
    config = ecs.aws.config(tags={"team": "blue"})
    spec = ecs.spec(config)

    missing = await inspect(ecs, spec)
    result = await ecs.engine.provision(spec)

    service = ecs.aws.service(config)
    tags = ecs.aws.tags(service)
    assert missing.state is ResourceState.MISSING
    assert (service.name, service.desired_count) == ("landlord-tenant-one", 1)
    assert result.resource_ids == {
        "service": service.arn,
        "cluster": config["cluster_arn"],
        "task_definition": config["task_definition_arn"],
    }
    assert {key: tags[f"landlord.{key}"] for key in ("owner", "tenant_id", "provider")} == {
        "owner": "landlord",
        "tenant_id": "one",
        "provider": "ecs",
    }
    assert tags["team"] == "blue"
    observation = await inspect(ecs, spec)
    assert observation.state is ResourceState.HEALTHY
    assert (observation.config_hash, observation.key_hashes) == (spec.config_hash, spec.key_hashes)
    assert observation.resource_ids == result.resource_ids


async def test_whatever_a_configuration_names_reaches_the_service(ecs: Ecs) -> None:
    config = ecs.aws.config(
        service_name="acme",
        desired_count=3,
        launch_type="fargate",
        subnets=ecs.aws.subnets(),
        assign_public_ip=True,
    )

    await ecs.engine.provision(ecs.spec(config))

    service = ecs.aws.service(config)
    assert (service.name, service.desired_count, service.launch_type) == ("acme", 3, "FARGATE")
    assert service.network_configuration["awsvpcConfiguration"] == {
        "subnets": ecs.aws.subnets(),
        "securityGroups": [],
        "assignPublicIp": "ENABLED",
    }


async def test_an_operation_repeated_ten_times_has_the_effect_of_one(ecs: Ecs) -> None:
    config = ecs.aws.config(desired_count=1, subnets=ecs.aws.subnets(), tags={"a": "b"})
    spec = ecs.spec(config)
    calls = await ecs.record_calls(spec.location)

    for _ in range(10):
        await ecs.engine.provision(spec)
        await ecs.engine.update(spec)

    # moto forgets the circuit breaker of a new service, so that the first update asks for it.
    assert [name for name in calls if name != "DescribeServices"] == [
        "CreateService",
        "TagResource",
        "UpdateService",
    ]
    assert len(ecs.aws.services(str(config["cluster_arn"]))) == 1


async def test_each_key_can_be_changed(ecs: Ecs) -> None:
    config = ecs.aws.config(tags={"a": "1", "b": "2"})
    await ecs.engine.provision(ecs.spec(config))
    changes: list[dict[str, object]] = [
        {"task_definition_arn": ecs.aws.task_definition()},
        {"desired_count": 4},
        {"subnets": ecs.aws.subnets()[:1]},
        {"subnets": ecs.aws.subnets()},
        {"security_groups": ecs.aws.security_groups()[:1]},
        {"assign_public_ip": True},
        {"tags": {"b": "3", "c": "4"}},
        {"tags": {}},
    ]
    for changed in changes:
        config |= changed
        spec = ecs.spec(config)

        result = await ecs.engine.update(spec)

        service = ecs.aws.service(config)
        tags = ecs.aws.tags(service)
        assert not result.rolled_back
        assert service.task_definition == config["task_definition_arn"]
        assert service.desired_count == config.get("desired_count", 1)
        assert {key: tags[key] for key in "abc" if key in tags} == config["tags"]
        if "subnets" in config:
            network = service.network_configuration["awsvpcConfiguration"]
            assert network["subnets"] == config["subnets"]
            assert network["securityGroups"] == config.get("security_groups", [])
            assert network["assignPublicIp"] == (
                "ENABLED" if config.get("assign_public_ip") else "DISABLED"
            )
        observation = await inspect(ecs, spec)
        assert (observation.state, observation.config_hash) == (
            ResourceState.HEALTHY,
            spec.config_hash,
        )
        assert observation.key_hashes == spec.key_hashes


async def test_a_count_that_is_not_named_is_left_to_autoscaling(ecs: Ecs) -> None:
    config = ecs.aws.config()
    await ecs.engine.provision(ecs.spec(config))
    service = ecs.aws.service(config)
    service.desired_count = service.running_count = 7

    scaled = await inspect(ecs, ecs.spec(config))
    config["task_definition_arn"] = ecs.aws.task_definition()
    await ecs.engine.update(ecs.spec(config))

    assert scaled.config_hash != ""
    assert ecs.aws.service(config).desired_count == 7


async def test_a_count_that_is_named_is_set_back(ecs: Ecs) -> None:
    config = ecs.aws.config(desired_count=1)
    spec = ecs.spec(config)
    await ecs.engine.provision(spec)
    ecs.aws.service(config).desired_count = 7

    scaled = await inspect(ecs, spec)
    await ecs.engine.update(spec)

    assert scaled.config_hash == ""
    assert ecs.aws.service(config).desired_count == 1


async def test_a_change_from_outside_is_detected_and_undone(ecs: Ecs) -> None:
    config = ecs.aws.config()
    spec = ecs.spec(config)
    await ecs.engine.provision(spec)
    ecs.aws.service(config).task_definition = ecs.aws.task_definition()

    drifted = await inspect(ecs, spec)
    await ecs.engine.update(spec)

    assert (drifted.config_hash, drifted.key_hashes) == ("", {})
    assert ecs.aws.service(config).task_definition == config["task_definition_arn"]
    assert (await inspect(ecs, spec)).config_hash == spec.config_hash


async def test_an_inactive_service_counts_as_missing_and_is_recreated(ecs: Ecs) -> None:
    config = ecs.aws.config()
    spec = ecs.spec(config)
    await ecs.engine.provision(spec)
    ecs.aws.service(config).status = "INACTIVE"

    inactive = await inspect(ecs, spec)
    await ecs.engine.update(spec)

    assert inactive.state is ResourceState.MISSING
    assert ecs.aws.service(config).status == "ACTIVE"
    assert (await inspect(ecs, spec)).state is ResourceState.HEALTHY


async def test_a_draining_service_still_exists_and_the_engine_waits_for_it(ecs: Ecs) -> None:
    config = ecs.aws.config()
    spec = ecs.spec(config)
    await ecs.engine.provision(spec)
    ecs.aws.service(config).status = "DRAINING"

    draining = await inspect(ecs, spec)
    with pytest.raises(ComputeUnavailable, match="still stopping its tasks"):
        await ecs.engine.provision(spec)

    assert (draining.state, draining.config_hash) == (ResourceState.STARTING, "")
    assert "DRAINING" in draining.detail


async def test_it_is_healthy_once_all_tasks_run_and_the_rollout_is_done(ecs: Ecs) -> None:
    config = ecs.aws.config(desired_count=2)
    spec = ecs.spec(config)
    await ecs.engine.provision(spec)
    service = ecs.aws.service(config)

    states = [await inspect(ecs, spec)]
    service.running_count = 2
    states.append(await inspect(ecs, spec))
    complete_rollout(service)
    states.append(await inspect(ecs, spec))
    service.running_count = 1
    states.append(await inspect(ecs, spec))

    starting, healthy = ResourceState.STARTING, ResourceState.HEALTHY
    assert [state.state for state in states] == [starting, starting, healthy, starting]
    assert states[0].detail == "1 of 2 tasks run"


async def test_a_delete_stops_the_service_whatever_it_runs(ecs: Ecs) -> None:
    config = ecs.aws.config()
    spec = ecs.spec(config)
    await ecs.engine.provision(spec)

    existed = await ecs.engine.destroy("one", spec.location)
    repeated = await ecs.engine.destroy("one", spec.location)

    assert (existed, repeated) == (True, False)
    assert ecs.aws.service(config).status == "INACTIVE"
    assert (await inspect(ecs, spec)).state is ResourceState.MISSING


async def test_a_delete_removes_the_service_and_keeps_the_task_definition(
    ecs: Ecs,
) -> None:
    config = ecs.aws.config(tags={"team": "blue"})
    spec = ecs.spec(config)
    await ecs.engine.provision(spec)
    before = ecs.aws.ecs().list_task_definitions(None)

    await ecs.engine.destroy("one", spec.location)

    assert before
    assert ecs.aws.ecs().list_task_definitions(None) == before
    assert ecs.aws.service(config).status == "INACTIVE"


async def test_a_missing_cluster_has_no_service_and_accepts_none(ecs: Ecs) -> None:
    spec = ecs.spec(ecs.aws.config(cluster_arn="nowhere", region="eu-west-1"))

    assert (await inspect(ecs, spec)).state is ResourceState.MISSING
    assert not await ecs.engine.destroy("one", spec.location)
    with pytest.raises(ComputeRefused, match="ecs:CreateService: ClusterNotFoundException"):
        await ecs.engine.provision(spec)


async def test_a_service_of_landlords_own_worker_is_adopted_and_changed(ecs: Ecs) -> None:
    config = ecs.aws.config()
    tags = {"landlord.owner": "landlord", "landlord.tenant_id": "one", "landlord.provider": "ecs"}
    ecs.aws.ecs().create_service(
        config["cluster_arn"],
        "landlord-tenant-one",
        1,
        ecs.aws.task_definition(),
        tags=[{"key": key, "value": value} for key, value in {**tags, "team": "red"}.items()],
    )
    spec = ecs.spec(config)

    observation = await inspect(ecs, spec)
    await ecs.engine.update(spec)

    service = ecs.aws.service(config)
    assert (observation.state, observation.config_hash) == (ResourceState.HEALTHY, "")
    assert service.task_definition == config["task_definition_arn"]
    # Somebody else set this tag, not the former configuration.
    assert ecs.aws.tags(service)["team"] == "red"
    assert service.deployment_configuration == {
        "deploymentCircuitBreaker": {"enable": True, "rollback": True}
    }
    assert (await inspect(ecs, spec)).config_hash == spec.config_hash
    assert await ecs.engine.destroy("one", spec.location)


@pytest.mark.parametrize("tags", [[], [{"key": "landlord.tenant_id", "value": "two"}]])
async def test_a_service_of_somebody_else_is_neither_adopted_nor_deleted(
    ecs: Ecs, tags: list[dict[str, str]]
) -> None:
    config = ecs.aws.config(service_name="billing")
    ecs.aws.ecs().create_service(
        config["cluster_arn"], "billing", 1, ecs.aws.task_definition(), tags=tags
    )
    spec = ecs.spec(config)

    assert (await inspect(ecs, spec)).state is ResourceState.MISSING
    assert not await ecs.engine.destroy("one", spec.location)
    with pytest.raises(ComputeRefused, match="does not belong to this tenant"):
        await ecs.engine.provision(spec)

    assert ecs.aws.service(config).task_definition != config["task_definition_arn"]
    assert ecs.aws.service(config).status == "ACTIVE"


async def test_another_launch_type_is_refused_with_a_hint(ecs: Ecs) -> None:
    config = ecs.aws.config(launch_type="EC2")
    await ecs.engine.provision(ecs.spec(config))

    with pytest.raises(ComputeRefused, match="launch_type") as refused:
        await ecs.engine.update(ecs.spec(config | {"launch_type": "FARGATE"}))

    assert "service_name_prefix" in refused.value.hint


async def test_a_new_spelling_of_the_same_location_never_deletes_the_service(ecs: Ecs) -> None:
    config = ecs.aws.config()
    before = ecs.spec(config)
    await ecs.engine.provision(before)
    short = {"cluster_arn": str(config["cluster_arn"]).split("/")[1], "region": "eu-west-1"}
    after = ecs.spec(config | short)

    unknown = await inspect(ecs, after)
    await ecs.engine.provision(after)
    existed = await ecs.engine.destroy("one", before.location)

    assert before.location != after.location
    assert unknown.state is ResourceState.MISSING
    assert not existed
    assert (await inspect(ecs, before)).state is ResourceState.MISSING
    assert (await inspect(ecs, after)).config_hash == after.config_hash
    assert ecs.aws.service(config).status == "ACTIVE"


@pytest.mark.parametrize("task_definition", ["by its ARN", "by its name"])
async def test_a_task_definition_without_a_revision_is_the_newest(
    ecs: Ecs, task_definition: str
) -> None:
    config = ecs.aws.config()
    family = str(config["task_definition_arn"]).rpartition(":")[0]
    config["task_definition_arn"] = (
        family if task_definition == "by its ARN" else family.rpartition("/")[2]
    )
    spec = ecs.spec(config)
    await ecs.engine.provision(spec)
    # After the first update the circuit breaker is there, which moto forgets at first.
    await ecs.engine.update(spec)
    calls = await ecs.record_calls(spec.location)

    result = await ecs.engine.update(spec)

    assert not result.rolled_back
    assert "UpdateService" in calls


async def test_many_tenants_at_once_do_not_disturb_each_other(ecs: Ecs) -> None:
    config = ecs.aws.config()
    specs = [ecs.spec(config, tenant=f"tenant-{number}") for number in range(40)]

    await asyncio.gather(*map(ecs.engine.provision, specs))
    observations = await asyncio.gather(*(inspect(ecs, spec) for spec in specs))
    existed = await asyncio.gather(
        *(ecs.engine.destroy(spec.tenant, spec.location) for spec in specs[::2])
    )

    services = ecs.aws.services(str(config["cluster_arn"]))
    assert {observation.state for observation in observations} == {ResourceState.HEALTHY}
    assert all(existed)
    assert len([service for service in services.values() if service.status == "ACTIVE"]) == 20


@pytest.mark.parametrize(
    "tenant",
    [
        "../../x",
        "a b",
        "$(id)",
        "ü\u202e\x00",
        "\ud800half",
        "a" * 300,
        "x;rm -rf /",
        "sha256-1",
        "*",
        "{}",
        "'\"",
    ],
)
async def test_a_tenants_key_may_hold_any_characters(ecs: Ecs, tenant: str) -> None:
    config = ecs.aws.config()
    spec = ecs.spec(config, tenant=tenant)

    await ecs.engine.provision(spec)
    observation = await inspect(ecs, spec)
    existed = await ecs.engine.destroy(tenant, spec.location)

    assert (observation.state, observation.config_hash) == (ResourceState.HEALTHY, spec.config_hash)
    assert existed
    assert ecs.aws.service(config).name.startswith("landlord-tenant-sha256-")


async def test_an_update_that_is_still_rolling_is_tried_again(ecs: Ecs) -> None:
    config = ecs.aws.config()
    await ecs.engine.provision(ecs.spec(config))
    keep_rollout_in_progress(ecs.aws.service(config))
    spec = ecs.spec(config | {"task_definition_arn": ecs.aws.task_definition()})
    hasty = ecs.with_failpoint_action(pass_by, rollout_timeout=0.1)

    with pytest.raises(ComputeUnavailable, match="the rollout continues: 1 of 1 tasks run"):
        await hasty.engine.update(spec)
    undecided = await inspect(ecs, spec)
    complete_rollout(ecs.aws.service(config))
    await hasty.engine.update(spec)

    assert undecided.config_hash != spec.config_hash
    assert (await inspect(ecs, spec)).config_hash == spec.config_hash
